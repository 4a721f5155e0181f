using Eigengate.ComputeNode.Tests.Support;

namespace Eigengate.ComputeNode.Tests.Endpoints;

/// <summary>One node with the tiny model and two exact adapters, shared by the tests of a class.</summary>
public sealed class TinyNode(SharedIndex index) : IAsyncLifetime
{
    internal RunningNode Node { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Node = await RunningNode.StartAsync(index, (options, folder) =>
    {
        string adapters = Path.Combine(folder, "adapters");
        TinyModel.WriteAdapter(Path.Combine(adapters, "first"), seed: 11);
        TinyModel.WriteAdapter(Path.Combine(adapters, "second"), seed: 12);
        return options with { AdapterDirectory = adapters };
    });

    public ValueTask DisposeAsync() => Node.DisposeAsync();
}
