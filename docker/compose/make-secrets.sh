#!/bin/sh
# Make the files of docker/secrets, those that are missing. Files that a container of user 10001 reads belong to it.
set -eu
umask 077
cd "$(dirname "$0")/.."
mkdir -p secrets
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
test -e secrets/fleet-token || random > secrets/fleet-token
test -e secrets/grafana-password || random > secrets/grafana-password
if ! test -e secrets/redis.conf; then
  password=$(random)
  echo "requirepass $password" > secrets/redis.conf
  echo "REDIS_URL=redis://:$password@redis:6379" > secrets/redis.env
fi
if ! test -e secrets/s3.json; then
  key=$(random) secret=$(random)
  cat > secrets/s3.json <<END
{"identities": [{"name": "fleet", "credentials": [{"accessKey": "$key", "secretKey": "$secret"}],
 "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
END
  printf 'AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\nAWS_REGION=us-east-1\n' "$key" "$secret" > secrets/s3.env
fi
if test "$(id -u)" = 0; then
  chown 10001:10001 secrets/fleet-token
  chown 999:1000 secrets/redis.conf
  chown 472:0 secrets/grafana-password
fi
echo "secrets: $(ls secrets | tr '\n' ' ')"
