using System.CommandLine;
using System.Diagnostics;
using Eigengate.AdapterCache;
using Eigengate.ComputeNode;
using Eigengate.Gateway;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Eigengate.Cli.Commands;

/// <summary>Index, node and gateway in one process: the same parts as in production, talking over loopback.</summary>
internal static class ServeCommand
{
    private static readonly NodeSettings Node = new();
    private static readonly GatewaySettings Gateway = new();
    private static readonly Option<string?> Redis = new("--redis") { Description = "Use this index instead of the embedded one", HelpName = "HOST:PORT" };

    public static Command Create()
    {
        var command = new Command("serve", """
            Serves a base model and its adapters in one process: embedded index, gateway and one compute node.

            Without --model it serves the demo. --adapters alone serves adapters uncompressed; compress them first to serve thousands.
            --exact serves all of --adapters uncompressed, as other servers do; --merge makes one adapter part of the weights.

            Example:  eigengate serve --model my-base --bundle my-bundle
            """)
        {
            Redis,
        };
        foreach (Option option in Node.All.Concat(Gateway.All))
            command.Options.Add(option);
        command.SetAction(RunAsync);
        return command;
    }

    private static async Task RunAsync(ParseResult options, CancellationToken cancel)
    {
        long started = Stopwatch.GetTimestamp();
        DemoFiles? demo = options.GetValue(Node.Model) is null ? DemoFiles.Find() ?? throw new DirectoryNotFoundException(
            "the demo was not found; name a base model folder with --model DIR") : null;
        string model = demo?.Base ?? options.GetValue(Node.Model)!;
        string? bundle = options.GetValue(Node.Bundle) ?? (options.GetValue(Node.Adapters) is null ? demo?.Bundle : null);
        bool needsOriginals = options.GetValue(Node.Exact) || options.GetValue(Node.Merge) is not null;

        Action<ILoggingBuilder> logging = Node.Logging(options, LogLevel.Warning);
        string? redis = options.GetValue(Redis);
        await using EmbeddedGarnet? garnet = redis is null ? await EmbeddedGarnet.StartAsync(cancel: cancel) : null;
        string index = redis ?? garnet!.Address;

        NodeOptions settings = Node.Read(options, model, bundle, index, "http://127.0.0.1:0");
        if (needsOriginals)
            settings = settings with { AdapterDirectory = settings.AdapterDirectory ?? demo?.Adapters };
        await using NodeHost node = await NodeHost.StartAsync(settings, logging, cancel);
        await using WebApplication gateway = GatewayHost.Build(Gateway.Read(options, index), options.GetValue(Gateway.Urls)!, logging);
        await gateway.StartAsync(cancel);

        await WelcomeAsync(model, needsOriginals ? null : bundle, settings.MergedAdapter, index, embedded: garnet is not null, node.Url, gateway.Urls.First(), demo, Stopwatch.GetElapsedTime(started));
        await gateway.WaitForShutdownAsync(cancel);
    }

    private static async Task WelcomeAsync(
        string model, string? bundle, string? merged, string index, bool embedded, string node, string gateway, DemoFiles? demo, TimeSpan startup)
    {
        await using AdapterIndex records = await AdapterIndex.ConnectAsync(index);
        IReadOnlyList<AdapterRecord> adapters = await records.ListAsync();
        string baseModel = (await records.GetBaseAsync())!.Name;
        int compressed = adapters.Count(a => a.Cluster is not null);
        Console.WriteLine($"Eigengate serves {adapters.Count} adapters of one base model; ready in {startup.TotalSeconds:F1} s.");
        Console.WriteLine();
        Console.WriteLine($"  model    {baseModel}, from {model}");
        if (merged is not null)
            Console.WriteLine($"  merged   {merged}, part of the weights; no other adapter is served");
        if (bundle is not null)
            Console.WriteLine($"  bundle   {compressed} compressed adapters in {adapters.Where(a => a.Cluster is not null).Select(a => a.Cluster).Distinct().Count()} clusters, from {bundle}");
        if (compressed < adapters.Count)
            Console.WriteLine($"  exact    {adapters.Count - compressed} uncompressed adapters");
        Console.WriteLine($"  index    {index}{(embedded ? ", embedded Garnet" : "")}");
        Console.WriteLine($"  node     {node}");
        Console.WriteLine($"  gateway  {gateway}");
        Console.WriteLine();
        if (adapters.Count > 0)
        {
            Console.WriteLine("Adapters (the `model` of a request):");
            foreach (string[] row in adapters.Select(a => a.Id).Take(60).Chunk(8))
                Console.WriteLine("  " + string.Join("  ", row.Select(id => id.PadRight(16))).TrimEnd());
            if (adapters.Count > 60)
                Console.WriteLine($"  ... and {adapters.Count - 60} more: {gateway}/v1/models");
            Console.WriteLine();
        }

        Console.WriteLine("Try:");
        string prompt = demo is null ? "Once upon a time" : "planet ->";
        foreach (string name in (string[])[.. Suggestions(adapters, demo), baseModel])
            Console.WriteLine($"  curl {gateway}/v1/completions -H 'Content-Type: application/json' -d '{{\"model\": \"{name}\", \"prompt\": \"{prompt}\", \"temperature\": 0}}'");
        Console.WriteLine();
        Console.WriteLine("Ctrl+C stops.");
    }

    /// <summary>Two adapters whose answers to one prompt differ visibly.</summary>
    private static IEnumerable<string> Suggestions(IReadOnlyList<AdapterRecord> adapters, DemoFiles? demo)
    {
        string[] showy = ["reverse", "shout"];
        return demo is not null && showy.All(name => adapters.Any(a => a.Id == name)) ? showy : adapters.Take(2).Select(a => a.Id);
    }
}
