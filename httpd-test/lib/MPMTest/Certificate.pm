package MPMTest::Certificate;

# A self-signed certificate for localhost, made when the suite starts.

use strict;
use warnings;

use File::Path qw(make_path);

# Writes cert.pem and key.pem into $dir; false when neither IO::Socket::SSL nor openssl is there.
sub write_to {
    my ($dir) = @_;
    make_path($dir);
    my ($cert_file, $key_file) = ("$dir/cert.pem", "$dir/key.pem");
    return 1 if -s $cert_file && -s $key_file;
    if (eval { require IO::Socket::SSL::Utils; 1 }) {
        my ($cert, $key) = IO::Socket::SSL::Utils::CERT_create(
            subject => { commonName => 'localhost' }, not_after => time + 86_400 * 30,
            subjectAltNames => [[DNS => 'localhost'], [IP => '127.0.0.1']],
        );
        IO::Socket::SSL::Utils::PEM_cert2file($cert, $cert_file);
        IO::Socket::SSL::Utils::PEM_key2file($key, $key_file);
        return 1;
    }
    return system("openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost "
            . "-keyout '$key_file' -out '$cert_file' >/dev/null 2>&1") == 0;
}

1;
