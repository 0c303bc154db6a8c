// Asks a question, shows the answer as it is written, and then its sources.
//
//   npm run ask -- "How long does the warranty last?"
//
// TRIVIUM_GATEWAY is the gateway's gRPC address, 127.0.0.1:50050 if it is not set.

import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { GatewayService } from "./generated/trivium/gateway/v1/gateway_service_pb.js";

const question = process.argv[2] ?? "How long does the warranty last?";
const address = process.env.TRIVIUM_GATEWAY ?? "127.0.0.1:50050";
const gateway = createClient(GatewayService, createGrpcTransport({ baseUrl: `http://${address}` }));

try {
  // Leaving the loop early, or aborting by `signal`, cancels the work in all services.
  for await (const { event } of gateway.answer({ question, topN: 3 }, { timeoutMs: 120_000 })) {
    if (event.case === "delta") {
      process.stdout.write(event.value.text);
    } else if (event.case === "summary") {
      process.stdout.write("\n");
      for (const { index, title, uri, documentId } of event.value.citations) {
        console.log(`[${index}] ${title} ${uri || documentId}`);
      }
      for (const { fallback } of event.value.degraded) {
        console.error(`degraded: ${fallback}`);
      }
    }
  }
} catch (error) {
  console.error(ConnectError.from(error).message);
  process.exitCode = 1;
}
