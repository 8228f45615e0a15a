//! Helper processes of the configuration: those that httpd or a module starts when the configuration has been read, and ends
//! when it is given up. There is no asking for them, so they are known by what starts them.

use crate::sys;
use std::ffi::{c_char, CStr};

/// Whether requests that are served after the configuration has been given up may miss a helper: a CGI daemon, a
/// program that takes the log, a rewriting program.
pub fn any() -> bool {
    module_with_helper() || directives().any(starts_program)
}

fn module_with_helper() -> bool {
    [c"mod_cgid.c", c"mod_fcgid.c", c"mod_wsgi.c"]
        .into_iter()
        // SAFETY: a C string; looks through httpd's list of modules.
        .any(|name| unsafe { !sys::ap_find_linked_module(name.as_ptr()).is_null() })
}

/// `CustomLog "|/usr/bin/rotatelogs ..." common`, `RewriteMap name prg:/path`.
fn starts_program(directive: &sys::ap_directive_t) -> bool {
    let mut words = bytes(directive.args)
        .split(|b| b.is_ascii_whitespace())
        .map(|word| {
            word.strip_prefix(b"\"")
                .or(word.strip_prefix(b"'"))
                .unwrap_or(word)
        });
    if bytes(directive.directive).eq_ignore_ascii_case(b"RewriteMap") {
        return words.any(|word| {
            word.get(..4)
                .is_some_and(|w| w.eq_ignore_ascii_case(b"prg:"))
        });
    }
    // Every directive that names a log has it first.
    words.next().is_some_and(|word| word.starts_with(b"|"))
}

fn bytes<'a>(text: *const c_char) -> &'a [u8] {
    if text.is_null() {
        return b"";
    }
    // SAFETY: a C string of the configuration's tree, which lives as long as the configuration; no result outlives `any`.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

/// Every directive of the configuration, sections before what is in them.
fn directives() -> impl Iterator<Item = &'static sys::ap_directive_t> {
    let mut open = Vec::new();
    // SAFETY: httpd's own tree; null before the configuration has been read, read-only afterwards.
    let mut next = unsafe { sys::ap_conftree.as_ref() };
    std::iter::from_fn(move || {
        let directive = next.or_else(|| open.pop())?;
        // SAFETY: links of the same tree.
        let (child, following) =
            unsafe { (directive.first_child.as_ref(), directive.next.as_ref()) };
        next = match (child, following) {
            (Some(child), Some(following)) => {
                open.push(following);
                Some(child)
            }
            (child, following) => child.or(following),
        };
        Some(directive)
    })
}
