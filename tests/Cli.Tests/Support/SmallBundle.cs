using Eigengate.Cli.Tests.Support;
using Eigengate.JointDiagonalization.Tests.Support;

[assembly: AssemblyFixture(typeof(SmallBundle))]

namespace Eigengate.Cli.Tests.Support;

/// <summary>Ten small adapters of two families and their bundle, written by `eigengate compress`; for reading only.</summary>
public sealed class SmallBundle : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();

    public string Adapters => _folder["adapters"];

    public string Bundle => _folder["bundle"];

    public string[] AdapterFolders { get; private set; } = [];

    internal CommandRun Compression { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        AdapterFolders = JointDiagonalization.Tests.Support.AdapterFolders.Write(Adapters, 10);
        Compression = (await CommandRun.OfAsync("compress", "--adapters", Adapters, "--out", Bundle, "--rank", "6x5", "--clusters", "2")).Succeeded();
    }

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }
}
