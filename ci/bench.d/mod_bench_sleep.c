/* A slow handler, the same for all MPMs: answers after 50 ms. */
#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"

static int handler(request_rec *r)
{
    if (!r->handler || strcmp(r->handler, "bench-sleep")) return DECLINED;
    apr_sleep(apr_time_from_msec(50));
    ap_set_content_type(r, "text/plain");
    ap_rputs("Hello, world\n", r);
    return OK;
}

static void hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA bench_sleep_module = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, hooks, 0
};
