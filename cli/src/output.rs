//! Files that a command writes: whole, or not at all.

use std::fs::File;
use std::io::{BufWriter, Error, Write};
use std::path::{Path, PathBuf};

use crate::answer::Refusal;

/// A file that gets its name when it is finished, or standard output (`-`).
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    File { part: PathBuf, file: BufWriter<File> },
    Stdout(BufWriter<std::io::Stdout>),
}

impl Output {
    /// Opens `path` for writing; its folder is made if it is not there.
    pub fn create(path: &Path) -> Result<Self, Refusal> {
        let refuse = |why: Error| failed(path, &why);
        if path == Path::new("-") {
            let sink = Sink::Stdout(BufWriter::new(std::io::stdout()));
            return Ok(Output { path: path.into(), sink });
        }
        if path.is_dir() || path.file_name().is_none() {
            return Err(Refusal::new(format!("cannot write {}: it is a folder", path.display()))
                .hint("name a file in it"));
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(refuse)?;
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = BufWriter::new(File::create(&part).map_err(refuse)?);
        Ok(Output { path: path.into(), sink: Sink::File { part, file } })
    }

    /// That the file could not be written.
    pub fn failed(&self, why: &Error) -> Refusal {
        failed(&self.path, why)
    }

    /// Gives the file its name.
    pub fn finish(mut self) -> Result<(), Refusal> {
        let done = self.flush().and_then(|()| match &self.sink {
            Sink::File { part, .. } => std::fs::rename(part, &self.path),
            Sink::Stdout(_) => Ok(()),
        });
        done.map_err(|why| self.failed(&why))
    }
}

impl Drop for Output {
    /// What was not finished leaves nothing behind.
    fn drop(&mut self) {
        if let Sink::File { part, .. } = &self.sink {
            let _ = std::fs::remove_file(part);
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.sink {
            Sink::File { file, .. } => file.write(bytes),
            Sink::Stdout(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.sink {
            Sink::File { file, .. } => file.flush(),
            Sink::Stdout(out) => out.flush(),
        }
    }
}

fn failed(path: &Path, why: &Error) -> Refusal {
    Refusal::new(format!("cannot write {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        let mut output = Output::create(&path).unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert_eq!(std::fs::read_dir(folder.path().join("a")).unwrap().count(), 0);
        let mut output = Output::create(&path).unwrap();
        output.write_all(b"whole").unwrap();
        output.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
        assert!(Output::create(folder.path()).is_err());
    }
}
