"""Who may open the page: links that a private key signs, whose public half CloudFront has."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from stacks import Aws, Failure, Stack

KEYS = {"PublicKey": "KeyId", "OtherPublicKey": "OtherKeyId"}
"""Parameters of the page that are keys, and where the stack says how CloudFront calls them."""
LONGEST = 365
"""Days of a link. Nobody can take one back but by the key."""


def link(aws: Aws, options: argparse.Namespace) -> None:
    """Prints a link that sets the cookies which open every file of the page."""
    if not 1 <= options.days <= LONGEST:
        raise Failure(f"--days is from 1 to {LONGEST}: a link that is out cannot be taken back")
    stack = aws.page(options.account)
    private = private_key(options.key)
    signer = CloudFrontSigner(key_id(stack, private), lambda message: sign(private, message))
    url, until = stack.output("Url"), datetime.now(timezone.utc) + timedelta(days=options.days)
    policy = signer.build_policy(f"{url}/*", until, ip_address=options.from_ip)
    signed = parse_qs(urlsplit(signer.generate_presigned_url(url, policy=policy)).query)
    policy, signature, key = (signed[name][0] for name in ("Policy", "Signature", "Key-Pair-Id"))
    if options.cookies:
        print(f"CloudFront-Policy={policy}; CloudFront-Signature={signature}; CloudFront-Key-Pair-Id={key}")
    else:
        print(f"{url}/open?{urlencode({'policy': policy, 'signature': signature, 'key': key})}")


def private_key(path: Path) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (TypeError, ValueError) as error:
        raise Failure(f"{path} is no private key in PEM without a password") from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size != 2048:
        raise Failure(f"{path} is no RSA key of 2048 bits; make one: openssl genrsa -out {path.name} 2048")
    return key


def key_id(stack: Stack, private: rsa.RSAPrivateKey) -> str:
    """How CloudFront calls the public half of a key."""
    public, given = private.public_key(), stack.parameters()
    for parameter, output in KEYS.items():
        if given[parameter] and serialization.load_pem_public_key(given[parameter].encode()) == public:
            return stack.output(output)
    raise Failure(f"the page has another key: give the public half of this one, deploy.py page -p {next(iter(KEYS))}=…")


def sign(private: rsa.RSAPrivateKey, message: bytes) -> bytes:
    # What CloudFront takes, and nothing else:
    # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-setting-signed-cookie-custom-policy.html
    return private.sign(message, padding.PKCS1v15(), hashes.SHA1())
