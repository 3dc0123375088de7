#!/bin/sh
# LocalStack runs this when it is ready.
awslocal s3api create-bucket --bucket lake
