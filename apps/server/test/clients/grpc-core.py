"""A client on gRPC's C core: for each number read on stdin, that many calls through xds:///TARGET; the answers are counted and printed as JSON."""

import json
import sys

import grpc

target, method = sys.argv[1:3]
raw = lambda data: data
call = grpc.insecure_channel("xds:///" + target).unary_unary(method, request_serializer=raw, response_deserializer=raw)
for line in sys.stdin:
    counts = {}
    for _ in range(int(line)):
        answer = call(b"", timeout=10, wait_for_ready=True).decode()
        counts[answer] = counts.get(answer, 0) + 1
    print(json.dumps(counts), flush=True)
