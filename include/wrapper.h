/* What bindgen reads: every httpd, APR and libc interface that the module uses. */
#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "http_main.h"
#include "http_protocol.h"
#include "http_request.h"
#include "http_vhost.h"
#include "ap_listen.h"
#include "ap_mmn.h"
#include "ap_mpm.h"
#include "ap_release.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "unixd.h"
#include "util_filter.h"

#include "apr_allocator.h"
#include "apr_hash.h"
#include "apr_network_io.h"
#include "apr_optional.h"
#include "apr_poll.h"
#include "apr_pools.h"
#include "apr_portable.h"
#include "apr_signal.h"
#include "apr_strings.h"
#include "apr_support.h"
#include "apr_tables.h"
#include "apr_thread_proc.h"
#include "apr_version.h"

#if !AP_MODULE_MAGIC_AT_LEAST(20120211, 135)
/* Names that 2.4.63 gave to numbers that were there before. */
enum { CONN_STATE_KEEPALIVE, CONN_STATE_PROCESSING };
#endif

#include "newer.h"
#include "shim.h"
