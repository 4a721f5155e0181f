using System.CommandLine;
using Eigengate.Gateway;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Hosting;

namespace Eigengate.Cli.Commands;

/// <summary>The gateway alone: needs the index and nothing else.</summary>
internal static class GatewayCommand
{
    private static readonly GatewaySettings Settings = new();
    private static readonly Option<string> Redis = new("--redis") { Description = "The index: a Redis or Garnet server", HelpName = "HOST:PORT", Required = true };

    public static Command Create()
    {
        var command = new Command("gateway", """
            Runs the HTTP front: finds each request's adapter in the index and sends it to a node that holds the adapter's cluster.

            Example:  eigengate gateway --redis 127.0.0.1:6379
            """)
        {
            Redis,
        };
        foreach (Option option in Settings.All)
            command.Options.Add(option);
        command.SetAction(RunAsync);
        return command;
    }

    private static async Task RunAsync(ParseResult options, CancellationToken cancel)
    {
        string index = options.GetValue(Redis)!;
        await using WebApplication gateway = GatewayHost.Build(Settings.Read(options, index), options.GetValue(Settings.Urls)!);
        await gateway.StartAsync(cancel);
        Console.WriteLine($"index    {index}");
        Console.WriteLine($"gateway  {gateway.Urls.First()}");
        await gateway.WaitForShutdownAsync(cancel);
    }
}
