//! Texts of the corrections that the configuration check makes (`AH00497` to `AH00520`).
//!
//! Each has two forms: the one for the console at start-up, with advice, and a shorter one for the error log. Their ids
//! differ. The texts equal event's to the letter: administrators and log monitors search for them.

/// The largest ServerLimit that is allowed, in processes.
pub const MAX_SERVER_LIMIT: i32 = 20_000;

/// The largest ThreadLimit that is allowed, in threads of one process.
pub const MAX_THREAD_LIMIT: i32 = 100_000;

/// One value of the configuration that could not be used as it was written.
///
/// `asked` is always the value before this correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Correction {
    /// ServerLimit above [`MAX_SERVER_LIMIT`] (AH00497, AH00498).
    ServerLimitTooHigh {
        /// ServerLimit, in processes.
        asked: i32,
    },
    /// ServerLimit below 1 (AH00499, AH00500).
    ServerLimitTooLow {
        /// ServerLimit, in processes.
        asked: i32,
    },
    /// ServerLimit differs from that of the first start; the scoreboard is already cut to size (AH00501).
    ServerLimitChanged {
        /// ServerLimit, in processes.
        asked: i32,
        /// ServerLimit of the first start, which stays.
        kept: i32,
    },
    /// ThreadLimit above [`MAX_THREAD_LIMIT`] (AH00502, AH00503).
    ThreadLimitTooHigh {
        /// ThreadLimit, in threads.
        asked: i32,
    },
    /// ThreadLimit below 1 (AH00504, AH00505).
    ThreadLimitTooLow {
        /// ThreadLimit, in threads.
        asked: i32,
    },
    /// ThreadLimit differs from that of the first start (AH00506).
    ThreadLimitChanged {
        /// ThreadLimit, in threads.
        asked: i32,
        /// ThreadLimit of the first start, which stays.
        kept: i32,
    },
    /// ThreadsPerChild above ThreadLimit (AH00507, AH00508).
    ThreadsPerChildTooHigh {
        /// ThreadsPerChild, in threads.
        asked: i32,
        /// ThreadLimit, which ThreadsPerChild becomes.
        thread_limit: i32,
    },
    /// ThreadsPerChild below 1 (AH00509, AH00510).
    ThreadsPerChildTooLow {
        /// ThreadsPerChild, in threads.
        asked: i32,
    },
    /// MaxRequestWorkers does not even fill one child (AH00511, AH00512).
    MaxRequestWorkersTooLow {
        /// MaxRequestWorkers, in threads.
        asked: i32,
        /// ThreadsPerChild, which MaxRequestWorkers becomes.
        threads_per_child: i32,
    },
    /// MaxRequestWorkers is no multiple of ThreadsPerChild (AH00513, AH00514).
    MaxRequestWorkersNotMultiple {
        /// MaxRequestWorkers, in threads.
        asked: i32,
        /// ThreadsPerChild, in threads.
        threads_per_child: i32,
        /// The next lower multiple, which MaxRequestWorkers becomes.
        lowered: i32,
        /// How many children that makes.
        servers: i32,
    },
    /// MaxRequestWorkers needs more children than ServerLimit (AH00515, AH00516).
    MaxRequestWorkersNeedsServers {
        /// MaxRequestWorkers, in threads.
        asked: i32,
        /// How many children that would take.
        servers: i32,
        /// ServerLimit, in processes.
        server_limit: i32,
        /// How many threads ServerLimit allows.
        possible: i32,
    },
    /// StartServers below 1 (AH00517, AH00518).
    StartServersTooLow {
        /// StartServers, in processes.
        asked: i32,
    },
    /// MinSpareThreads below 1 (AH00519, AH00520).
    MinSpareThreadsTooLow {
        /// MinSpareThreads, in threads.
        asked: i32,
    },
}

impl Correction {
    /// Whether a form for the console exists. A changed limit is seen on restarts only, so it always goes to the log, at
    /// start-up too.
    #[must_use]
    pub fn has_startup_form(&self) -> bool {
        !matches!(
            self,
            Correction::ServerLimitChanged { .. } | Correction::ThreadLimitChanged { .. }
        )
    }

    /// The form for the console, with the `AHnnnnn: ` prefix. Where there is none, the log's form.
    #[must_use]
    pub fn startup_text(&self) -> String {
        match *self {
            Correction::ServerLimitTooHigh { asked } => format!(
                "AH00497: WARNING: ServerLimit of {asked} exceeds compile-time limit of {MAX_SERVER_LIMIT} servers, \
                 decreasing to {MAX_SERVER_LIMIT}."
            ),
            Correction::ServerLimitTooLow { asked } => {
                format!("AH00499: WARNING: ServerLimit of {asked} not allowed, increasing to 1.")
            }
            Correction::ThreadLimitTooHigh { asked } => format!(
                "AH00502: WARNING: ThreadLimit of {asked} exceeds compile-time limit of {MAX_THREAD_LIMIT} threads, \
                 decreasing to {MAX_THREAD_LIMIT}."
            ),
            Correction::ThreadLimitTooLow { asked } => {
                format!("AH00504: WARNING: ThreadLimit of {asked} not allowed, increasing to 1.")
            }
            Correction::ThreadsPerChildTooHigh { asked, thread_limit } => format!(
                "AH00507: WARNING: ThreadsPerChild of {asked} exceeds ThreadLimit of {thread_limit} threads, \
                 decreasing to {thread_limit}. To increase, please see the ThreadLimit directive."
            ),
            Correction::ThreadsPerChildTooLow { asked } => {
                format!("AH00509: WARNING: ThreadsPerChild of {asked} not allowed, increasing to 1.")
            }
            Correction::MaxRequestWorkersTooLow { asked, threads_per_child } => format!(
                "AH00511: WARNING: MaxRequestWorkers of {asked} is less than ThreadsPerChild of {threads_per_child}, \
                 increasing to {threads_per_child}. MaxRequestWorkers must be at least as large as the number of \
                 threads in a single server."
            ),
            Correction::MaxRequestWorkersNotMultiple { asked, threads_per_child, lowered, servers } => format!(
                "AH00513: WARNING: MaxRequestWorkers of {asked} is not an integer multiple of ThreadsPerChild of \
                 {threads_per_child}, decreasing to nearest multiple {lowered}, for a maximum of {servers} servers."
            ),
            Correction::MaxRequestWorkersNeedsServers { asked, servers, server_limit, possible } => format!(
                "AH00515: WARNING: MaxRequestWorkers of {asked} would require {servers} servers and would exceed \
                 ServerLimit of {server_limit}, decreasing to {possible}. To increase, please see the ServerLimit \
                 directive."
            ),
            Correction::StartServersTooLow { asked } => {
                format!("AH00517: WARNING: StartServers of {asked} not allowed, increasing to 1.")
            }
            Correction::MinSpareThreadsTooLow { asked } => format!(
                "AH00519: WARNING: MinSpareThreads of {asked} not allowed, increasing to 1 to avoid almost certain \
                 server failure. Please read the documentation."
            ),
            Correction::ServerLimitChanged { .. } | Correction::ThreadLimitChanged { .. } => self.restart_text(),
        }
    }

    /// The form for the error log, with the `AHnnnnn: ` prefix.
    #[must_use]
    pub fn restart_text(&self) -> String {
        match *self {
            Correction::ServerLimitTooHigh { asked } => format!(
                "AH00498: ServerLimit of {asked} exceeds compile-time limit of {MAX_SERVER_LIMIT}, decreasing to match"
            ),
            Correction::ServerLimitTooLow { asked } => {
                format!("AH00500: ServerLimit of {asked} not allowed, increasing to 1")
            }
            Correction::ServerLimitChanged { asked, kept } => format!(
                "AH00501: changing ServerLimit to {asked} from original value of {kept} not allowed during restart"
            ),
            Correction::ThreadLimitTooHigh { asked } => format!(
                "AH00503: ThreadLimit of {asked} exceeds compile-time limit of {MAX_THREAD_LIMIT}, decreasing to match"
            ),
            Correction::ThreadLimitTooLow { asked } => {
                format!("AH00505: ThreadLimit of {asked} not allowed, increasing to 1")
            }
            Correction::ThreadLimitChanged { asked, kept } => format!(
                "AH00506: changing ThreadLimit to {asked} from original value of {kept} not allowed during restart"
            ),
            Correction::ThreadsPerChildTooHigh { asked, thread_limit } => format!(
                "AH00508: ThreadsPerChild of {asked} exceeds ThreadLimit of {thread_limit}, decreasing to match"
            ),
            Correction::ThreadsPerChildTooLow { asked } => {
                format!("AH00510: ThreadsPerChild of {asked} not allowed, increasing to 1")
            }
            Correction::MaxRequestWorkersTooLow { asked, threads_per_child } => format!(
                "AH00512: MaxRequestWorkers of {asked} is less than ThreadsPerChild of {threads_per_child}, increasing \
                 to match"
            ),
            Correction::MaxRequestWorkersNotMultiple { asked, threads_per_child, lowered, .. } => format!(
                "AH00514: MaxRequestWorkers of {asked} is not an integer multiple of ThreadsPerChild of \
                 {threads_per_child}, decreasing to nearest multiple {lowered}"
            ),
            Correction::MaxRequestWorkersNeedsServers { asked, servers, server_limit, possible } => format!(
                "AH00516: MaxRequestWorkers of {asked} would require {servers} servers and exceed ServerLimit of \
                 {server_limit}, decreasing to {possible}"
            ),
            Correction::StartServersTooLow { asked } => {
                format!("AH00518: StartServers of {asked} not allowed, increasing to 1")
            }
            Correction::MinSpareThreadsTooLow { asked } => {
                format!("AH00520: MinSpareThreads of {asked} not allowed, increasing to 1")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Correction; 13] = [
        Correction::ServerLimitTooHigh { asked: 20_001 },
        Correction::ServerLimitTooLow { asked: 0 },
        Correction::ServerLimitChanged { asked: 8, kept: 16 },
        Correction::ThreadLimitTooHigh { asked: 100_001 },
        Correction::ThreadLimitTooLow { asked: -1 },
        Correction::ThreadLimitChanged { asked: 8, kept: 64 },
        Correction::ThreadsPerChildTooHigh {
            asked: 65,
            thread_limit: 64,
        },
        Correction::ThreadsPerChildTooLow { asked: 0 },
        Correction::MaxRequestWorkersTooLow {
            asked: 3,
            threads_per_child: 25,
        },
        Correction::MaxRequestWorkersNotMultiple {
            asked: 60,
            threads_per_child: 25,
            lowered: 50,
            servers: 2,
        },
        Correction::MaxRequestWorkersNeedsServers {
            asked: 500,
            servers: 20,
            server_limit: 16,
            possible: 400,
        },
        Correction::StartServersTooLow { asked: 0 },
        Correction::MinSpareThreadsTooLow { asked: 0 },
    ];

    #[test]
    fn ids_follow_the_order_of_the_check() {
        let startup: Vec<String> = ALL
            .iter()
            .map(|c| c.startup_text()[..9].to_string())
            .collect();
        let restart: Vec<String> = ALL
            .iter()
            .map(|c| c.restart_text()[..9].to_string())
            .collect();
        let expected_startup = [
            497, 499, 501, 502, 504, 506, 507, 509, 511, 513, 515, 517, 519,
        ];
        let expected_restart = [
            498, 500, 501, 503, 505, 506, 508, 510, 512, 514, 516, 518, 520,
        ];
        assert_eq!(startup, expected_startup.map(|id| format!("AH{id:05}: ")));
        assert_eq!(restart, expected_restart.map(|id| format!("AH{id:05}: ")));
    }

    #[test]
    fn console_texts() {
        let texts = [
            "AH00497: WARNING: ServerLimit of 20001 exceeds compile-time limit of 20000 servers, decreasing to 20000.",
            "AH00499: WARNING: ServerLimit of 0 not allowed, increasing to 1.",
            "AH00501: changing ServerLimit to 8 from original value of 16 not allowed during restart",
        ];
        for (correction, text) in ALL.iter().zip(texts) {
            assert_eq!(correction.startup_text(), text);
        }
        assert_eq!(
            ALL[9].startup_text(),
            "AH00513: WARNING: MaxRequestWorkers of 60 is not an integer multiple of ThreadsPerChild of 25, decreasing \
             to nearest multiple 50, for a maximum of 2 servers."
        );
        assert_eq!(
            ALL[10].startup_text(),
            "AH00515: WARNING: MaxRequestWorkers of 500 would require 20 servers and would exceed ServerLimit of 16, \
             decreasing to 400. To increase, please see the ServerLimit directive."
        );
    }

    #[test]
    fn no_text_has_a_broken_line_or_a_doubled_space() {
        for correction in ALL {
            for text in [correction.startup_text(), correction.restart_text()] {
                assert!(!text.contains('\n') && !text.contains("  "), "{text}");
            }
        }
    }

    #[test]
    fn only_changed_limits_lack_a_console_form() {
        for correction in ALL {
            assert_eq!(
                correction.has_startup_form(),
                correction.startup_text() != correction.restart_text()
            );
        }
    }
}
