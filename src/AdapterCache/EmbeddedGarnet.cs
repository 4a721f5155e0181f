using System.Net;
using System.Net.Sockets;
using Garnet;

namespace Eigengate.AdapterCache;

/// <summary>A Garnet server in this process on a free loopback port: the index of a deployment without Redis.</summary>
public sealed class EmbeddedGarnet : IAsyncDisposable
{
    private const int StartAttempts = 5;

    private readonly GarnetServer _server;
    private readonly string? _scratch;
    private int _disposed;

    private EmbeddedGarnet(GarnetServer server, string address, string? scratch)
    {
        _server = server;
        _scratch = scratch;
        Address = address;
    }

    /// <summary><c>host:port</c>, as <see cref="AdapterIndex.ConnectAsync"/> takes it.</summary>
    public string Address { get; }

    /// <summary>Starts the server and returns when it accepts connections, after about half a second.</summary>
    /// <param name="dataDirectory">Keeps data across restarts there (append-only file). Null: data lives as long as this object;
    /// what does not fit into memory is spilled to a temporary directory.</param>
    /// <param name="cancel">Gives up before the start; a start under way is not interrupted.</param>
    /// <exception cref="IOException">It could not start.</exception>
    public static async Task<EmbeddedGarnet> StartAsync(string? dataDirectory = null, CancellationToken cancel = default)
    {
        var scratch = dataDirectory is null ? Directory.CreateTempSubdirectory("eigengate-index-").FullName : null;
        var directory = Path.GetFullPath(dataDirectory ?? scratch!);
        Directory.CreateDirectory(directory);
        for (var attempt = 1; ; attempt++)
        {
            cancel.ThrowIfCancellationRequested();
            var port = FreePort();
            try
            {
                var server = await Task.Run(() => Start(port, directory, durable: dataDirectory is not null), cancel);
                return new EmbeddedGarnet(server, $"127.0.0.1:{port}", scratch);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                // Another process may have taken the port between the look and the bind.
                if (attempt < StartAttempts && e is SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse })
                    continue;
                DeleteScratch(scratch);
                throw new IOException($"The embedded index could not start on 127.0.0.1:{port}: {e.Message}", e);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 1)
            return;
        if (_scratch is null)
            await _server.Store.CommitAOFAsync(CancellationToken.None);
        await Task.Run(_server.Dispose);
        DeleteScratch(_scratch);
    }

    private static GarnetServer Start(int port, string directory, bool durable)
    {
        var server = new GarnetServer(Arguments(port, directory, durable));
        try
        {
            server.Start();
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    private static string[] Arguments(int port, string directory, bool durable)
    {
        string[] arguments =
        [
            "--bind", "127.0.0.1", "--port", $"{port}",
            "--memory", "256m", "--page", "4m", "--segment", "64m", "--index", "16m",
            // Without a tier below memory, records that do not fit would be dropped.
            "--storage-tier", "--logdir", Path.Combine(directory, "log"), "--checkpointdir", Path.Combine(directory, "checkpoints"),
            // The native device needs libaio; without it the first write to disk ends the process.
            "--device-type", "RandomAccess",
            "--lua", "--lua-transaction-mode",
            "-q",
        ];
        string[] durability = ["--aof", "--aof-page-size", "8m", "--aof-memory", "64m", "--aof-commit-freq", "0", "--aof-commit-wait", "--recover"];
        return durable ? [.. arguments, .. durability] : arguments;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static void DeleteScratch(string? scratch)
    {
        if (scratch is not null && Directory.Exists(scratch))
            Directory.Delete(scratch, recursive: true);
    }
}
