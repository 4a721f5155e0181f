using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Eigengate.Bench.Serving;

/// <summary>`eigengate serve` as a user starts it: a child process on a free port, ended by its id.</summary>
internal sealed partial class ServerUnderTest : IAsyncDisposable
{
    private readonly Process _process;

    private ServerUnderTest(Process process, Uri gateway, Uri node, TimeSpan startup)
    {
        _process = process;
        Gateway = gateway;
        Node = node;
        Startup = startup;
    }

    public Uri Gateway { get; }

    public Uri Node { get; }

    /// <summary>From process start until /health answers 200.</summary>
    public TimeSpan Startup { get; }

    public static async Task<ServerUnderTest> StartAsync(string command, IEnumerable<string> arguments, CancellationToken cancel)
    {
        var clock = Stopwatch.StartNew();
        var info = new ProcessStartInfo(command, ["serve", "--urls", "http://127.0.0.1:0", .. arguments]) { RedirectStandardOutput = true };
        Process process = Process.Start(info) ?? throw new InvalidOperationException($"could not start {command}");
        Uri? gateway = null, node = null;
        while (gateway is null || node is null)
        {
            string line = await process.StandardOutput.ReadLineAsync(cancel)
                ?? throw new InvalidOperationException($"{command} serve ended before it printed its addresses");
            if (GatewayLine().Match(line) is { Success: true } g)
                gateway = new Uri(g.Groups[1].Value);
            if (NodeLine().Match(line) is { Success: true } n)
                node = new Uri(n.Groups[1].Value);
        }

        _ = process.StandardOutput.ReadToEndAsync(cancel);
        using var http = new HttpClient();
        while (true)
        {
            using HttpResponseMessage health = await http.GetAsync(new Uri(gateway, "/health"), cancel);
            if (health.IsSuccessStatusCode)
                return new ServerUnderTest(process, gateway, node, clock.Elapsed);
            await Task.Delay(10, cancel);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    [GeneratedRegex(@"^\s*gateway\s+(http://\S+)")]
    private static partial Regex GatewayLine();

    [GeneratedRegex(@"^\s*node\s+(http://\S+)")]
    private static partial Regex NodeLine();
}
