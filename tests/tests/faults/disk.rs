//! A full disk under the file store.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use acceptance::{Settings, Target};
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::campaign;
use crate::world::{Needs, Plan, World};

/// Enough for the database and its log, and soon full.
const SIZE: &str = "size=8m";

async fn full_disk(at: Target) {
    let plan = Plan {
        needs: Needs::SmallDisk,
        ..Plan::usual()
    };
    campaign::run(at, "full_disk", plan, fill).await;
}

/// A small disk of a run's own, in its folder. It is given back when this value goes.
#[derive(Debug)]
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(settings: &Settings) -> Self {
        let disk = place(settings);
        std::fs::create_dir(&disk).expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "tmpfs"])
            .arg(&disk)
            .status();
        assert!(
            mounted.expect("mount: it is in the Debian package mount").success(),
            "a small disk cannot be mounted: this test needs root, or the right to mount"
        );
        Self(disk)
    }

    /// The value of `STORE` for a database on it.
    pub(crate) fn url(&self) -> String {
        format!("sqlite://{}", self.0.join("auth.db").display())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn place(settings: &Settings) -> PathBuf {
    settings.file("disk")
}

async fn fill(world: Arc<World>, mut random: StdRng) {
    let disk = place(world.settings());
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(random.random_range(300..1_500))).await;
        world.trouble_begins();
        let ballast = disk.join("ballast");
        fill_up(&ballast);
        tokio::time::sleep(Duration::from_millis(random.random_range(300..1_500))).await;
        std::fs::remove_file(ballast).expect("the ballast");
        world.trouble_ends();
    }
}

/// Writes until not a byte more fits.
fn fill_up(ballast: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(ballast).expect("a file");
    for chunk in [64 * 1024, 4096, 1] {
        while file.write_all(&vec![0; chunk]).is_ok() {}
    }
}

on_files!(full_disk);
