using System.CommandLine;
using Eigengate.ComputeNode;
using Microsoft.Extensions.Logging;

namespace Eigengate.Cli.Commands;

/// <summary>One compute node: an engine with the bases of some clusters, announced in the index.</summary>
internal static class NodeCommand
{
    private static readonly NodeSettings Settings = new();
    private static readonly Option<string> Redis = new("--redis") { Description = "The index: a Redis or Garnet server", HelpName = "HOST:PORT", Required = true };
    private static readonly Option<string> Urls = new("--urls") { Description = "Where to listen; port 0 takes a free one", HelpName = "URL", DefaultValueFactory = _ => "http://127.0.0.1:8001" };
    private static readonly Option<string?> Advertise = new("--advertise") { Description = "URL under which the gateway reaches this node, when it is not the one it listens on", HelpName = "URL" };

    private static readonly Option<int[]> Cluster = new("--cluster")
    {
        Description = "Cluster of the bundle to hold; may be given several times. All by default",
        HelpName = "K",
        AllowMultipleArgumentsPerToken = true,
    };

    public static Command Create()
    {
        var command = new Command("node", """
            Runs a compute node: the base model and the shared bases of its adapter clusters.

            Example:  eigengate node --model my-base --bundle my-bundle --cluster 0 --redis 127.0.0.1:6379
            """)
        {
            Redis, Urls, Advertise, Cluster,
        };
        foreach (Option option in Settings.All)
            command.Options.Add(option);
        Settings.Model.Required = true;
        command.SetAction(RunAsync);
        return command;
    }

    private static async Task RunAsync(ParseResult options, CancellationToken cancel)
    {
        NodeOptions node = Settings.Read(
            options, options.GetValue(Settings.Model)!, options.GetValue(Settings.Bundle), options.GetValue(Redis)!, options.GetValue(Urls)!) with
        {
            Clusters = options.GetValue(Cluster) is { Length: > 0 } clusters ? clusters : null,
            AdvertisedUrl = options.GetValue(Advertise),
        };
        await using NodeHost host = await NodeHost.StartAsync(node, Settings.Logging(options, LogLevel.Information), cancel);
        Console.WriteLine($"index    {node.Index}");
        Console.WriteLine($"node     {host.Url}");
        await host.WaitForShutdownAsync(cancel);
    }
}
