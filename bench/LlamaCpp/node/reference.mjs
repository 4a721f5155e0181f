// llama.cpp behind a line protocol: one JSON command a line on stdin, one JSON answer a line on stdout.
// Batches go straight to llama_decode and nothing is sampled while time is taken: this is llama.cpp at its best.
import {createInterface} from "node:readline";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [modelPath, contexts, threads, sequences, contextSize] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const llama = await getLlama({build: "never", gpu: false, maxThreads: threads, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath, gpuLayers: 0});
const all = [];
for (let i = 0; i < contexts; i++) {
    const context = await model.createContext({contextSize, sequences, batchSize: 512, threads, flashAttention: process.env.FLASH === "1"});
    context._ctx.setThreads(threads);
    all.push(context._ctx);
}

const vocabulary = model.fileInfo.metadata.llama.vocab_size;
const token = (i) => 300 + ((i * 7919) % (vocabulary - 300));
const prompt = (seed, length) => Uint32Array.from({length}, (_, i) => token(seed * 1000 + i));

// rows: [sequence, position, tokens]; logits of the last token of each.
async function decode(ctx, rows) {
    ctx.initBatch(rows.reduce((sum, row) => sum + row[2].length, 0));
    const logits = rows.map(([sequence, position, tokens]) =>
        ctx.addToBatch(sequence, position, tokens, Uint32Array.of(tokens.length - 1))[0]);
    await ctx.decodeBatch();
    return logits;
}

function clear(ctx, count) {
    for (let s = 0; s < count; s++)
        ctx.removeTokenCellsFromSequence(s, 0, -1);
}

async function timed(work) {
    const start = process.hrtime.bigint();
    await work();
    return {seconds: Number(process.hrtime.bigint() - start) / 1e9};
}

const commands = {
    // Tokens that llama.cpp would choose after each of the given ones, and how likely it finds the given next one.
    async greedy({prompt, continuation}) {
        const sampler = new llama._bindings.AddonSampler(model._model);
        sampler.applyConfig({temperature: 0});
        const chosen = [];
        let next = Uint32Array.from(prompt), position = 0;
        for (const token of continuation) {
            const [logits] = await decode(all[0], [[0, position, next]]);
            chosen.push(await all[0].sampleToken(logits, sampler));
            position += next.length;
            next = Uint32Array.of(token);
        }
        clear(all[0], 1);
        sampler.dispose();
        return {chosen};
    },

    async prefill({length, seed}) {
        const tokens = prompt(seed, length);
        const result = await timed(() => decode(all[0], [[0, 0, tokens]]));
        clear(all[0], 1);
        return result;
    },

    async generate({batch, steps, start}) {
        const first = Array.from({length: batch}, (_, s) => [s, 0, prompt(s, start)]);
        for (const row of first)
            await decode(all[0], [row]);
        const result = await timed(async () => {
            for (let step = 0; step < steps; step++)
                await decode(all[0], first.map(([s]) => [s, start + step, Uint32Array.of(token(s + step))]));
        });
        clear(all[0], batch);
        return result;
    },

    // Requests with an adapter each, shared among the contexts; adapters are loaded before the clock starts.
    async adapters({paths, length, steps}) {
        const loras = await Promise.all(paths.map((path) => model._getOrLoadLora(path)));
        let next = 0;
        return await timed(() => Promise.all(all.map(async (ctx) => {
            for (let i = next++; i < loras.length; i = next++) {
                ctx.setLoras([loras[i]], [1]);
                await decode(ctx, [[0, 0, prompt(i, length)]]);
                for (let step = 1; step < steps; step++)
                    await decode(ctx, [[0, length + step - 1, Uint32Array.of(token(i + step))]]);
                clear(ctx, 1);
            }
        })));
    },
};

console.log(JSON.stringify({ready: true}));
for await (const line of createInterface({input: process.stdin})) {
    const command = JSON.parse(line);
    try {
        console.log(JSON.stringify(await commands[command.run](command)));
    } catch (error) {
        console.log(JSON.stringify({error: String(error?.stack ?? error)}));
    }
}
process.exit(0);
