using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.JointDiagonalization.Tests;

public sealed class CompressorTests
{
    [Fact]
    public void A_compressed_collection_reopens_with_every_adapter()
    {
        using var folder = new TemporaryFolder();
        string[] adapters = AdapterFolders.Write(folder["in"], 12);
        CompressionResult result = Compressor.Compress(
            new CompressorOptions { Output = folder["out"], RankU = 6, RankV = 6, Clusters = 2 }, adapters);

        Assert.Empty(result.Skipped);
        using Bundle bundle = Bundle.Open(folder["out"]);
        Assert.Equal(12, bundle.Manifest.Adapters.Length);
    }
}
