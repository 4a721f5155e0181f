// Reads one JSON array of {template, variables} from standard input and writes an array of {text} or {error}.
import { Template } from "@huggingface/jinja";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const cases = JSON.parse(Buffer.concat(chunks).toString("utf8"));
const parsed = new Map();

function render({ template, variables }) {
  try {
    if (!parsed.has(template)) parsed.set(template, new Template(template));
    return { text: parsed.get(template).render(variables) };
  } catch (error) {
    return { error: String(error?.message ?? error) };
  }
}

process.stdout.write(JSON.stringify(cases.map(render)));
