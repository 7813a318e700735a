#!/bin/bash
# Joins this instance to an EKS cluster; the arguments are those of the bootstrap script of EKS-optimised Amazon Linux 2.
set -euo pipefail

usage() {
    cat <<TEXT
usage: bootstrap.sh [options] <cluster-name>
Joins an instance to an EKS cluster. Without --apiserver-endpoint and --b64-cluster-ca the EKS API is asked for them.

--apiserver-endpoint URL       the cluster's endpoint
--b64-cluster-ca CA            the cluster's certificate authority, base64
--kubelet-extra-args ARGS      further arguments for the kubelet
--use-max-pods true|false      limit pods by the instance type's network interfaces (default true)
--dns-cluster-ip ADDRESS       the cluster's DNS service
--service-ipv4-cidr CIDR       the cluster's range of service addresses
--pause-container-account ID   account whose registry has the pause image
--pause-container-version V    its tag
--enable-local-outpost true|false  join a local cluster on an Outpost
--cluster-id ID                a local cluster's id
--ip-of-endpoint A[,A]         addresses of a local cluster's control plane, for /etc/hosts
--ip-family ipv4               the only one here
--container-runtime containerd the only one here
--aws-api-retry-attempts N     how often a failed call to AWS is repeated (default 3)
TEXT
}
die() { echo "bootstrap.sh: $*" >&2; exit 1; }
log() { echo "$(date --utc +%FT%TZ) [eks-bootstrap] $*" >&2; }

CLUSTER= ENDPOINT= CA= LOCAL= EXTRA= ADDRESSES= ID= DNS_IP= SERVICES= USE_MAX_PODS=true
PAUSE_ACCOUNT= PAUSE_VERSION= ATTEMPTS=3
while [ $# -gt 0 ]; do
    case $1 in
        -h|--help) usage; exit 0 ;;
        --*) [ $# -ge 2 ] || die "$1 needs a value" ;;
    esac
    case $1 in
        --apiserver-endpoint) ENDPOINT=$2 ;;
        --b64-cluster-ca) CA=$2 ;;
        --kubelet-extra-args) EXTRA=$2 ;;
        --use-max-pods) USE_MAX_PODS=$2 ;;
        --dns-cluster-ip) DNS_IP=$2 ;;
        --service-ipv4-cidr) SERVICES=$2 ;;
        --pause-container-account) PAUSE_ACCOUNT=$2 ;;
        --pause-container-version) PAUSE_VERSION=$2 ;;
        --enable-local-outpost) LOCAL=$2 ;;
        --cluster-id) ID=$2 ;;
        --ip-of-endpoint) ADDRESSES=$2 ;;
        --ip-family) [ "$2" = ipv4 ] || die "--ip-family: only ipv4 is supported" ;;
        --container-runtime) [ "$2" = containerd ] || die "--container-runtime: only containerd is supported" ;;
        --aws-api-retry-attempts) ATTEMPTS=$2 ;;
        --service-ipv6-cidr|--docker-config-json|--containerd-config-file|--enable-docker-bridge|--mount-bpf-fs|--local-disks)
            log "$1 has no effect here" ;;
        -*) die "unknown argument $1" ;;
        *) [ -z "$CLUSTER" ] || die "one cluster name, please: $CLUSTER and $1 were given"; CLUSTER=$1; shift; continue ;;
    esac
    shift 2
done
[ -n "$CLUSTER" ] || die "the cluster's name is missing"
case $LOCAL in ''|true|false) ;; *) die "--enable-local-outpost takes true or false" ;; esac
case $ATTEMPTS in ''|*[!0-9]*) die "--aws-api-retry-attempts takes a number" ;; esac

imds() {
    local token
    token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
    curl -sf -m 5 -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/$1"
}

# Introspection. One try of the CLI takes up to 20 s here, where the CLI's own default is a minute for each of its tries.
describe_cluster() {
    AWS_MAX_ATTEMPTS=1 aws eks describe-cluster --region "$(imds meta-data/placement/region)" --name "$CLUSTER" \
        --cli-connect-timeout 20 --output text --query \
        'cluster.[endpoint,certificateAuthority.data,kubernetesNetworkConfig.serviceIpv4Cidr,outpostConfig.outpostArns[0],id]'
}
if [ -z "$ENDPOINT" ] || [ -z "$CA" ]; then
    log "INFO: --cluster-ca or --api-server-endpoint is not defined, describing cluster..."
    for attempt in $(seq 0 "$ATTEMPTS"); do
        [ "$attempt" = 0 ] || log "INFO: Attempt $attempt of $ATTEMPTS"
        if described=$(describe_cluster); then break; fi
        if [ "$attempt" = "$ATTEMPTS" ]; then
            log "ERROR: Exhausted retries while describing cluster!"
            exit 1
        fi
        sleep $(((5 << (1 + attempt)) + RANDOM % 10))
    done
    read -r found ca range outpost id <<<"$described"
    ENDPOINT=${ENDPOINT:-$found} CA=${CA:-$ca}
    [ "$range" = None ] || SERVICES=${SERVICES:-$range}
    if [ "$outpost" != None ]; then LOCAL=${LOCAL:-true} ID=${ID:-$id}; fi
    [ "$ENDPOINT" != None ] && [ "$CA" != None ] || die "cluster $CLUSTER has no endpoint yet"
fi

MAX_PODS=
if [ "$USE_MAX_PODS" = true ] && [ -e /etc/eks/eni-max-pods.txt ]; then
    type=$(imds meta-data/instance-type)
    MAX_PODS=$(awk -v type="$type" '$1 == type { print $2 }' /etc/eks/eni-max-pods.txt)
    [ -n "$MAX_PODS" ] || log "WARNING: no entry for $type in /etc/eks/eni-max-pods.txt; the kubelet's own limit counts"
fi
if [ -z "$DNS_IP" ] && [ ! -e /etc/eks/kube-proxy.yaml ]; then
    if [ -n "$SERVICES" ]; then
        DNS_IP=${SERVICES%.*}.10
    elif imds "meta-data/network/interfaces/macs/$(imds meta-data/mac)/vpc-ipv4-cidr-blocks" | grep -q '^10\.'; then
        DNS_IP=172.20.0.10 # EKS's own choice for a VPC inside 10.0.0.0/8
    else
        DNS_IP=10.100.0.10
    fi
fi
if [ -n "$PAUSE_ACCOUNT$PAUSE_VERSION" ]; then
    sed -i -E "s#(sandbox = \")([0-9]+)(\.dkr\.[^\"]*/pause:)([^\"]*)#\1${PAUSE_ACCOUNT:-\2}\3${PAUSE_VERSION:-\4}#" \
        /etc/containerd/config.toml
fi

export CLUSTER ENDPOINT CA LOCAL EXTRA ADDRESSES ID DNS_IP MAX_PODS
exec /etc/eks/join.sh
