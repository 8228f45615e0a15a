"""The servers' configuration: one template for all MPMs, its equivalent for nginx."""
import os
import pwd

PROCESSES, THREADS = 2, 25
WORKERS = PROCESSES * THREADS
IDLE_FACTOR = 1000  # AsyncRequestWorkerFactor, where idle connections are the subject

APACHE = """\
ServerRoot "{root}"
ServerName 127.0.0.1
DefaultRuntimeDir "{root}"
PidFile "{root}/pid"
ErrorLog "{root}/error_log"
LogLevel warn
{modules}
{user}
{mpm}
ExtendedStatus Off
KeepAlive On
KeepAliveTimeout 600
MaxKeepAliveRequests 0
Timeout 60
EnableMMAP Off
TypesConfig /dev/null
DocumentRoot "{htdocs}"
<Directory />
    AllowOverride None
    Require all denied
</Directory>
<Directory "{htdocs}">
    Require all granted
</Directory>
{listeners}
"""

THREADED = f"""\
StartServers {PROCESSES}
ServerLimit {PROCESSES}
ThreadsPerChild {THREADS}
ThreadLimit {THREADS}
MaxRequestWorkers {WORKERS}
MinSpareThreads {THREADS}
MaxSpareThreads {WORKERS + THREADS}
MaxConnectionsPerChild 0
"""

PREFORK = f"""\
StartServers {WORKERS}
ServerLimit {WORKERS}
MaxRequestWorkers {WORKERS}
MinSpareServers {WORKERS}
MaxSpareServers {WORKERS + 1}
MaxConnectionsPerChild 0
"""

TLS = """\
<VirtualHost 127.0.0.1:{port}>
    SSLEngine on
    SSLCertificateFile "{cert}"
</VirtualHost>
"""

SLEEP = """\
<Location "/sleep">
    SetHandler bench-sleep
    Require all granted
</Location>
"""

NGINX = """\
daemon off;
{user}
worker_processes {processes};
worker_rlimit_nofile 20000;
pid "{root}/pid";
error_log "{root}/error_log" error;
events {{ worker_connections 15000; }}
http {{
    access_log off;
    sendfile on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_body_temp_path "{root}/body";
    proxy_temp_path "{root}/proxy";
    fastcgi_temp_path "{root}/fastcgi";
    uwsgi_temp_path "{root}/uwsgi";
    scgi_temp_path "{root}/scgi";
    server {{
        listen 127.0.0.1:{port}{flag};
        {tls}
        root "{htdocs}";
    }}
}}
"""


def unprivileged():
    """The user that a server started by root becomes, None for others."""
    if os.geteuid() != 0:
        return None
    for name in ("www-data", "apache", "httpd", "daemon", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def load_module(site, name):
    """The LoadModule line; a module that is no file is in the server's binary."""
    path = os.path.join(site.libexec, f"mod_{name}.so")
    return f'LoadModule {name}_module "{path}"\n' if os.path.exists(path) else ""


def apache(site, contender, case, root, port):
    user = unprivileged()
    names = ["unixd", "authz_core", "mime"]
    names += {"tls": ["socache_shmcb", "ssl"], "h2": ["http2"]}.get(case.port, [])
    modules = f'LoadModule {contender.symbol} "{contender.module}"\n' + "".join(load_module(site, n) for n in names)
    listeners = f"Listen 127.0.0.1:{port}\n"
    if case.port == "tls":
        listeners += TLS.format(port=port, cert=site.cert)
    if case.port == "h2":
        listeners += "Protocols h2c http/1.1\n"
    if case.kind == "mix":
        modules += f'LoadModule bench_sleep_module "{site.sleeper}"\n'
        listeners += SLEEP
    mpm = PREFORK if contender.symbol == "mpm_prefork_module" else THREADED
    if case.kind == "idle":
        mpm += f"AsyncRequestWorkerFactor {IDLE_FACTOR}\n"
    return APACHE.format(root=root, modules=modules, mpm=mpm, listeners=listeners, htdocs=site.htdocs,
                         user=f"User {user.pw_name}\nGroup #{user.pw_gid}" if user else "")


def nginx(site, case, root, port):
    user = unprivileged()
    cert = f'ssl_certificate "{site.cert}";\n        ssl_certificate_key "{site.cert}";'
    return NGINX.format(root=root, processes=PROCESSES, htdocs=site.htdocs, port=port,
                        user=f"user {user.pw_name};" if user else "",
                        flag={"tls": " ssl", "h2": " http2"}.get(case.port, ""),
                        tls=cert if case.port == "tls" else "")
