// A correct receiver in Node, which verifies with the official library. It
// prints the port that it listens on.
import { createServer } from "node:http";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const effects = new Map(); // by webhook-id

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://receiver");
  if (url.pathname === "/witness") {
    response.end(JSON.stringify({ count: effects.get(url.searchParams.get("messageId")) ?? 0 }));
    return;
  }
  response.statusCode = await receive(request);
  response.end();
});

async function receive(request) {
  if (request.method !== "POST") {
    return 405;
  }
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  let event;
  try {
    event = webhook.verify(Buffer.concat(chunks).toString(), request.headers);
  } catch (error) {
    return error instanceof WebhookVerificationError ? 401 : 400;
  }
  if (event.event === "order.paid") {
    effects.set(request.headers["webhook-id"], 1);
  }
  return 204;
}

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
