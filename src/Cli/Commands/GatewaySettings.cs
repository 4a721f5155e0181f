using System.CommandLine;
using Eigengate.Gateway;

namespace Eigengate.Cli.Commands;

/// <summary>Options that `serve` and `gateway` share, and the gateway's options made of them.</summary>
internal sealed class GatewaySettings
{
    public Option<string> Urls { get; } = new("--urls") { Description = "Where clients connect; port 0 takes a free one", HelpName = "URL", DefaultValueFactory = _ => "http://127.0.0.1:8000" };

    public Option<string[]> ApiKey { get; } = new("--api-key")
    {
        Description = "Key that clients must send as Authorization: Bearer; may be given several times. None: no key is asked for",
        HelpName = "KEY",
        AllowMultipleArgumentsPerToken = true,
    };

    public Option<int> MaxInFlight { get; } = new("--max-in-flight") { Description = "Requests in flight at once; more are answered 429. One caller (API key or address) gets at most 7/8 of them", HelpName = "N", DefaultValueFactory = _ => 1024 };

    public IEnumerable<Option> All => [Urls, ApiKey, MaxInFlight];

    public GatewayOptions Read(ParseResult options, string index) => new()
    {
        Index = index,
        ApiKeys = options.GetValue(ApiKey) ?? [],
        MaxInFlightRequests = options.GetValue(MaxInFlight),
    };
}
