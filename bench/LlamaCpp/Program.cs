using System.CommandLine;
using Eigengate.Bench;
using Eigengate.LlamaCpp;

var shape = new Option<string>("--shape") { Description = "135m or 1.1b", DefaultValueFactory = _ => "135m" };
var folder = new Option<string>("--folder") { Description = "Where the random model is written, once", DefaultValueFactory = _ => Path.Combine(Path.GetTempPath(), "eigengate-llama-cpp") };
var threads = new Option<int>("--threads") { Description = "Compute threads of each side", DefaultValueFactory = _ => 2 };
var rounds = new Option<int>("--rounds") { Description = "Interleaved rounds of each measure", DefaultValueFactory = _ => 5 };
var adapters = new Option<int>("--adapters") { Description = "Requests with an adapter each", DefaultValueFactory = _ => 32 };
var basisRank = new Option<int>("--basis-rank") { Description = "Rank of the engine's shared bases", DefaultValueFactory = _ => 32 };
var only = new Option<string[]>("--only")
{
    Description = "Measures: agreement, floor, prefill, decode1, decode32, outside (of the model), prompts (200 + 10 tokens with adapters), answers (16 + 128)",
    AllowMultipleArgumentsPerToken = true,
};

var root = new RootCommand("The engine against llama.cpp on the CPU: one random bfloat16 model, the same numbers for both, in turn")
{
    shape, folder, threads, rounds, adapters, basisRank, only,
};
root.SetAction(RunAsync);
return await root.Parse(args).InvokeAsync();

async Task RunAsync(ParseResult options, CancellationToken cancel)
{
    ModelShape sizes = ModelShape.Named(options.GetValue(shape)!);
    int threadCount = options.GetValue(threads), adapterCount = options.GetValue(adapters);
    string[] wanted = options.GetValue(only) is { Length: > 0 } some ? some : ["agreement", "floor", "prefill", "decode1", "decode32", "outside", "prompts", "answers"];
    var model = RandomModel.Create(sizes, Path.Combine(options.GetValue(folder)!, sizes.Name), adapterCount);
    Floor floor = wanted.Contains("floor") ? Floor.Measure(threadCount) : new Floor(double.NaN, double.NaN);
    await using var engine = new EngineUnderTest(model.Folder, threadCount, options.GetValue(basisRank));
    var comparison = new Comparison(sizes, engine, floor, options.GetValue(rounds), cancel);
    if (wanted.Contains("floor"))
        Console.WriteLine($"memory {floor.BytesPerSecond / 1e9:F1} GB/s, bfloat16 products {floor.FlopsPerSecond / 1e9:F0} GFLOP/s, {threadCount} threads\n");

    if (wanted.Contains("outside"))
        Console.WriteLine($"64 sequences with an adapter each: {await engine.ShareOutsideModelAsync(64, 32, cancel):P1} of the step time is outside of the model\n");

    using (LlamaProcess llama = await LlamaProcess.StartAsync(model.GgufPath, 1, threadCount, 32, cancel))
    {
        if (wanted.Contains("agreement"))
            Console.WriteLine($"llama.cpp chooses the engine's greedy token in {await comparison.AgreementAsync(llama):P0} of 64 places\n");
        Console.WriteLine($"{sizes.Name}, {threadCount} threads, {options.GetValue(rounds)} rounds: tokens/s, median ratio of pairs, share of the floor\n");
        Console.WriteLine("| measure | engine | llama.cpp | ratio | engine ÷ floor | llama.cpp ÷ floor |\n|---|---|---|---|---|---|");
        if (wanted.Contains("prefill"))
            await comparison.PrefillAsync(llama, 256);
        if (wanted.Contains("decode1"))
            await comparison.DecodeAsync(llama, 1, 64);
        if (wanted.Contains("decode32"))
            await comparison.DecodeAsync(llama, 32, 32);
    }

    if (!wanted.Contains("prompts") && !wanted.Contains("answers"))
        return;
    string[] paths = [.. Enumerable.Range(0, adapterCount).Select(model.LoraPath)];
    using LlamaProcess switching = await LlamaProcess.StartAsync(model.GgufPath, threadCount, 1, 1, cancel);
    if (wanted.Contains("prompts"))
        await comparison.AdaptersAsync(switching, paths, 200, 10);
    if (wanted.Contains("answers"))
        await comparison.AdaptersAsync(switching, paths, 16, 128);
}
