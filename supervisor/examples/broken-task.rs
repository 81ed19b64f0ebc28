//! A process like the supervisor in which one of many tasks breaks. For the test of row 36 of the fault matrix.

use std::time::Duration;

fn main() -> std::io::Result<()> {
    creel_supervisor::abort_on_panic();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let _broken = tokio::task::spawn_local(async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(std::env::args().count() > 1000, "this task is broken");
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    Ok(())
}
