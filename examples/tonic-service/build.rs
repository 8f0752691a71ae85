//! Compiles the service's definition, without a `protoc` on the machine.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto/demo.proto");
    let definitions = protox::compile(["demo.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_client(false)
        .compile_fds(definitions)?;
    Ok(())
}
