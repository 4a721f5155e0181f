using System.Text;

namespace Eigengate.AdapterCache.Tests;

internal static class Samples
{
    public static BaseRecord Base { get; } = new("acme/base-1b", 1_790_000_000, 2048, "/models/base-1b");

    public static AdapterRecord Adapter(string id, string version = "v1") => new(
        id, version, "g1", Cluster: 1, AdapterStatus.Ready, $"/adapters/{id}", DateTimeOffset.FromUnixTimeMilliseconds(1_790_000_000_123));

    public static NodeRecord Node(string id, params int[] clusters) => new(
        id, $"http://127.0.0.1:1/{id}", Base.Name, Base.MaxModelLength, "g1", clusters, ServesExact: true, MaxSequences: 8,
        DateTimeOffset.FromUnixTimeSeconds(1_790_000_000));

    /// <summary>Weights that can be told apart by adapter and version.</summary>
    public static byte[] Weights(AdapterRecord adapter) => Weights($"{adapter.Id} {adapter.Version}");

    public static byte[] Weights(string text) => Encoding.UTF8.GetBytes($"weights of {text}\0\r\n");
}
