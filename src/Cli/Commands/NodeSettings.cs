using System.CommandLine;
using Eigengate.ComputeNode;
using Eigengate.Inference;
using Microsoft.Extensions.Logging;

namespace Eigengate.Cli.Commands;

/// <summary>Options that `serve` and `node` share, and the node's options made of them.</summary>
internal sealed class NodeSettings
{
    public Option<string?> Model { get; } = new("--model") { Description = "Base model folder in Hugging Face layout", HelpName = "DIR" };

    public Option<string?> Bundle { get; } = new("--bundle") { Description = "Compressed adapters, as written by `eigengate compress`", HelpName = "DIR" };

    public Option<string?> Adapters { get; } = new("--adapters") { Description = "Folder of PEFT adapters; those not in the bundle are served uncompressed", HelpName = "DIR" };

    public Option<bool> Exact { get; } = new("--exact") { Description = "Serve every adapter of --adapters uncompressed, also those in the bundle" };

    public Option<string?> Merge { get; } = new("--merge")
    {
        Description = "Add this adapter to the weights and serve it alone, under its name: a folder, or an id in --adapters or --bundle",
        HelpName = "ADAPTER",
    };

    public Option<string> Device { get; } = new Option<string>("--device") { Description = "Where the engine runs", DefaultValueFactory = _ => "cpu" }
        .OneOf("cpu", "cuda");

    public Option<string> Dtype { get; } = new Option<string>("--dtype") { Description = "Number type of weights, activations and KV cache", DefaultValueFactory = _ => "float32" }
        .OneOf("float32", "bfloat16");

    public Option<string[]> ServedModelName { get; } = new("--served-model-name")
    {
        Description = "Public names of the base; the folder's name by default",
        HelpName = "NAME",
        AllowMultipleArgumentsPerToken = true,
    };

    public Option<int?> MaxModelLength { get; } = new("--max-model-len") { Description = "Prompt and output together, in tokens; the model's context by default", HelpName = "N" };

    public Option<double> KvCache { get; } = new("--kv-cache-gb") { Description = "Memory of the KV cache in GB", HelpName = "GB", DefaultValueFactory = _ => 2 };

    public Option<int> AdapterSlots { get; } = new("--adapter-slots") { Description = "Adapters on the device at once; the rest wait in the index", HelpName = "N", DefaultValueFactory = _ => 1024 };

    public Option<double> AdapterPool { get; } = new("--adapter-pool-gb") { Description = "Device memory for what adapters do not share, in GB: the A and B of uncompressed ones, residuals", HelpName = "GB", DefaultValueFactory = _ => 1 };

    public Option<double> AdapterCache { get; } = new("--adapter-cache-gb") { Description = "Host memory for adapters that are not on the device, in GB", HelpName = "GB", DefaultValueFactory = _ => 1 };

    public Option<int> MaxSequences { get; } = new("--max-num-seqs") { Description = "Sequences that run at once", HelpName = "N", DefaultValueFactory = _ => 256 };

    public Option<int?> Threads { get; } = new("--threads") { Description = "Compute threads; by default one for a small model, else all cores", HelpName = "N" };

    public Option<bool> NoPrefixCache { get; } = new("--no-prefix-cache") { Description = "Compute every prompt from its first token, also where an earlier one of the same adapter began the same" };

    public Option<bool> EnforceEager { get; } = new("--enforce-eager") { Description = "With --device cuda: launch every operation of a decode step by itself instead of as a recorded CUDA graph" };

    public Option<bool> PromptTokensDetails { get; } = new("--enable-prompt-tokens-details") { Description = "Report prompt tokens found in the prefix cache as usage.prompt_tokens_details.cached_tokens" };

    public Option<bool> NoRequestLog { get; } = new("--disable-log-requests") { Description = "No log line per request (ids, counts and times; never text)" };

    public IEnumerable<Option> All =>
    [
        Model, Bundle, Adapters, Exact, Merge, Device, Dtype, ServedModelName, MaxModelLength, KvCache, AdapterSlots, AdapterPool, AdapterCache, MaxSequences, Threads,
        NoPrefixCache, EnforceEager, PromptTokensDetails, NoRequestLog,
    ];

    /// <summary>To the console: a line for every request unless switched off, and of the rest what is at least at this level.</summary>
    public Action<ILoggingBuilder> Logging(ParseResult options, LogLevel rest) => logging => logging
        .ClearProviders()
        .AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss.fff ";
            console.UseUtcTimestamp = true;
        })
        .SetMinimumLevel(rest)
        .AddFilter(NodeHost.RequestLog, options.GetValue(NoRequestLog) ? LogLevel.Warning : LogLevel.Information);

    public NodeOptions Read(ParseResult options, string model, string? bundle, string index, string urls) => new()
    {
        ModelDirectory = model,
        BundleDirectory = bundle,
        AdapterDirectory = options.GetValue(Adapters),
        Exact = options.GetValue(Exact),
        MergedAdapter = options.GetValue(Merge),
        HostCacheBytes = (long)(options.GetValue(AdapterCache) * 1e9),
        Index = index,
        Urls = urls,
        ServedModelNames = options.GetValue(ServedModelName) is { Length: > 0 } names ? names : null,
        PromptTokensDetails = options.GetValue(PromptTokensDetails),
        Engine = new EngineOptions
        {
            Device = options.GetValue(Device)!,
            DType = options.GetValue(Dtype) == "bfloat16" ? EngineDType.BFloat16 : EngineDType.Float32,
            MaxModelLength = options.GetValue(MaxModelLength),
            KvCacheBytes = (long)(options.GetValue(KvCache) * 1e9),
            AdapterSlots = options.GetValue(AdapterSlots),
            AdapterPoolBytes = (long)(options.GetValue(AdapterPool) * 1e9),
            MaxSequences = options.GetValue(MaxSequences),
            Threads = options.GetValue(Threads),
            CudaGraphs = !options.GetValue(EnforceEager),
            PrefixCache = !options.GetValue(NoPrefixCache),
        },
    };
}
