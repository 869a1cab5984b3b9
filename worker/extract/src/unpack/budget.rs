//! Limits of bytes that several readers share.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use super::stop::Stop;

/// The limits of one walk.
pub(super) struct Budgets {
    /// Bytes that all members may have together.
    pub(super) total: u64,
    /// Bytes that the members may still have.
    pub(super) members: Rc<Budget>,
    /// Bytes that compressed streams and archives within archives may still expand to. A tar within a gzip is counted here
    /// as a whole, and each of its members among the members.
    pub(super) expanded: Rc<Budget>,
}

impl Budgets {
    pub(super) fn new(total: u64) -> Self {
        let budget = || Rc::new(Budget { remaining: Cell::new(total), is_exceeded: Cell::new(false) });
        Self { total, members: budget(), expanded: budget() }
    }

    /// The fault behind a failed read. Readers of archives wrap the errors of their sources, so each limit is asked.
    pub(super) fn fault(&self, error: &io::Error) -> Stop {
        if self.members.is_exceeded.get() || self.expanded.is_exceeded.get() {
            return Stop::too_large();
        }
        match error.kind() {
            io::ErrorKind::OutOfMemory => Stop::out_of_memory(),
            io::ErrorKind::Unsupported => Stop::unsupported(),
            io::ErrorKind::FileTooLarge => Stop::member_too_large(),
            _ => Stop::corrupt(),
        }
    }
}

/// The number of bytes that readers may still read, all together.
pub(super) struct Budget {
    remaining: Cell<u64>,
    is_exceeded: Cell<bool>,
}

impl Budget {
    /// Records that a limit is exceeded, and gives the error of the read.
    fn exceed(&self) -> io::Error {
        self.is_exceeded.set(true);
        io::Error::other("a limit of expanded bytes is exceeded")
    }
}

/// A reader that fails when its budget is exceeded. What an archive says about its sizes is not trusted: bytes are counted as
/// they are read.
pub(super) struct Limited<R> {
    reader: R,
    budget: Rc<Budget>,
}

impl<R> Limited<R> {
    pub(super) fn new(reader: R, budget: &Rc<Budget>) -> Self {
        Self { reader, budget: Rc::clone(budget) }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let remaining = self.budget.remaining.get().checked_sub(read as u64).ok_or_else(|| self.budget.exceed())?;
        self.budget.remaining.set(remaining);
        Ok(read)
    }
}

/// A reader of one member that fails when the member expands to more than `remaining` bytes. It takes nothing from a budget,
/// which counts the same bytes elsewhere.
pub(super) struct LimitedMember<R> {
    pub(super) reader: R,
    pub(super) remaining: u64,
}

impl<R: Read> Read for LimitedMember<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let remaining = self.remaining.checked_sub(read as u64);
        self.remaining = remaining.ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}
