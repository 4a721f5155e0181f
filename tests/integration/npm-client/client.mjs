// Uses the gateway as a JavaScript developer would: the official `openai` package and nothing else.
// Usage: node client.mjs BASE_URL BASE_MODEL ADAPTER PROMPT EXPECTED_ANSWER
import assert from "node:assert/strict";
import OpenAI, { BadRequestError, NotFoundError } from "openai";

const [baseURL, baseModel, adapter, prompt, expected] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const ask = { model: adapter, prompt, max_tokens: 32, temperature: 0 };

const checks = {
  async "models.list names the base and the adapter"() {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    assert.ok(ids.includes(baseModel) && ids.includes(adapter), ids.join(", "));
  },

  async "models.retrieve returns the adapter's card"() {
    const card = await client.models.retrieve(adapter);
    assert.equal(card.id, adapter);
    assert.equal(card.parent, baseModel);
  },

  async "completions.create answers with the adapter's skill"() {
    const completion = await client.completions.create(ask);
    assert.equal(completion.object, "text_completion");
    assert.equal(completion.choices[0].text.trim(), expected);
    assert.equal(completion.choices[0].finish_reason, "stop");
    assert.equal(completion.usage.total_tokens, completion.usage.prompt_tokens + completion.usage.completion_tokens);
    assert.ok(completion._request_id);
  },

  async "a stream adds up to the whole answer and ends with usage"() {
    const stream = await client.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
    let text = "", usage = null, finish = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.text ?? "";
      finish ??= chunk.choices[0]?.finish_reason ?? null;
      usage = chunk.usage ?? usage;
    }
    assert.equal(text.trim(), expected);
    assert.equal(finish, "stop");
    assert.ok(usage.completion_tokens > 0);
  },

  async "echo with logprobs scores a prompt"() {
    const scored = await client.completions.create({ model: adapter, prompt, max_tokens: 0, echo: true, logprobs: 2 });
    const { tokens, token_logprobs, top_logprobs, text_offset } = scored.choices[0].logprobs;
    assert.equal(scored.choices[0].text, prompt);
    assert.equal(token_logprobs[0], null);
    assert.ok(token_logprobs.slice(1).every((p) => p <= 0));
    assert.equal(tokens.length, text_offset.length);
    assert.equal(top_logprobs[1][tokens[1]], token_logprobs[1]);
  },

  async "an unknown model is NotFoundError"() {
    await assert.rejects(client.completions.create({ ...ask, model: "no-such-adapter" }), (e) =>
      e instanceof NotFoundError && e.param === "model" && /no-such-adapter/.test(e.message));
  },

  async "a wrong field is BadRequestError that names it"() {
    await assert.rejects(client.completions.create({ ...ask, temperature: 9 }), (e) =>
      e instanceof BadRequestError && e.param === "temperature");
  },

  async "leaving a stream early is fine"() {
    const stream = await client.completions.create({ ...ask, max_tokens: 200, stream: true, ignore_eos: true });
    for await (const _ of stream) break;
    const after = await client.completions.create(ask);
    assert.equal(after.choices[0].text.trim(), expected);
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok - ${name}`);
  } catch (error) {
    failed++;
    console.log(`not ok - ${name}\n${error.stack}`);
  }
}
process.exit(failed === 0 ? 0 : 1);
