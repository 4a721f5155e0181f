using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Eigengate.AdapterCache.Tests;

/// <summary>The machine's own redis-server on a free loopback port, without persistence; skipped by name where it is not installed.</summary>
public sealed class RedisProcess : IndexServer
{
    private readonly string _directory = Directory.CreateTempSubdirectory("eigengate-redis-").FullName;
    private Process? _process;
    private int _port;

    public override async ValueTask InitializeAsync()
    {
        if (FindBinary() is null)
        {
            SkipReason = "redis-server is not installed";
            return;
        }

        using (var listener = new TcpListener(IPAddress.Loopback, 0))
        {
            listener.Start();
            _port = ((IPEndPoint)listener.LocalEndpoint).Port;
        }

        Address = $"127.0.0.1:{_port}";
        await StartAsync();
    }

    public async Task StartAsync()
    {
        var start = new ProcessStartInfo(FindBinary()!, ["--port", $"{_port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", _directory])
        {
            RedirectStandardOutput = true,
        };
        _process = Process.Start(start)!;
        _process.OutputDataReceived += (_, _) => { };
        _process.BeginOutputReadLine();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        while (true)
        {
            try
            {
                using var probe = new TcpClient();
                await probe.ConnectAsync(IPAddress.Loopback, _port, patience.Token);
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(20, patience.Token);
            }
        }
    }

    /// <summary>Ends the server without a chance to save anything.</summary>
    public async Task KillAsync()
    {
        if (_process is null)
            return;
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        _process = null;
    }

    public override async ValueTask DisposeAsync()
    {
        await KillAsync();
        Directory.Delete(_directory, recursive: true);
        GC.SuppressFinalize(this);
    }

    private static string? FindBinary() => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Select(directory => Path.Combine(directory, "redis-server"))
        .FirstOrDefault(File.Exists);
}
