// node validate.mjs — reads a JSON array of {schema, texts} from standard input and writes, for each, an array with null for
// every text that satisfies the schema and the reason for every other.
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const results = JSON.parse(Buffer.concat(chunks).toString("utf8")).map(({ schema, texts }) => {
  const ajv = new Ajv({ strict: false });
  addFormats(ajv);
  const validate = ajv.compile(JSON.parse(schema));
  return texts.map((text) => (validate(JSON.parse(text)) ? null : ajv.errorsText(validate.errors)));
});
process.stdout.write(JSON.stringify(results));
