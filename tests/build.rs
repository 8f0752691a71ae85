//! The client of `examples/tonic-service`, from the service's definition alone.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = "../examples/tonic-service/proto";
    println!("cargo::rerun-if-changed={folder}/demo.proto");
    let definitions = protox::compile(["demo.proto"], [folder])?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(definitions)?;
    Ok(())
}
