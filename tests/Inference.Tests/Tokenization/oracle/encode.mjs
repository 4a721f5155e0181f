// node encode.mjs TOKENIZER.json — reads a JSON array of texts from standard input and writes, for each, its ids with and
// without the model's own special tokens and what the latter decode to.
import { Tokenizer } from "tokenizers";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const texts = JSON.parse(Buffer.concat(chunks).toString("utf8"));
const tokenizer = Tokenizer.fromFile(process.argv[2]);
const ids = async (text, addSpecialTokens) => (await tokenizer.encode(text, null, { addSpecialTokens })).getIds();

const results = [];
for (const text of texts) {
  const plain = await ids(text, false);
  results.push({ ids: await ids(text, true), plain, decoded: await tokenizer.decode(plain, false) });
}
process.stdout.write(JSON.stringify(results));
