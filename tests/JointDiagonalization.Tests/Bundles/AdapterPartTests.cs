using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Bundles;

/// <summary>A file of cores that does not hold what the manifest says, met when an adapter is read.</summary>
public sealed class AdapterPartTests : IDisposable
{
    private const string Id = "adapter-001";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("", null, "is missing")]
    [InlineData("", new long[] { 3, 2 }, "is [3, 2]; the basis of cluster 0 has [3, 3]")]
    [InlineData(".P", null, "[24, t] and [40, t] were expected")]
    [InlineData(".Q", null, "[24, t] and [40, t] were expected")]
    [InlineData(".P", new long[] { 23, 1 }, "are [23, 1] and [40, 1]")]
    [InlineData(".Q", new long[] { 40, 2 }, "are [24, 1] and [40, 2]")]
    [InlineData(".P", new long[] { 24 }, "are [24] and [40, 1]")]
    public void A_tensor_that_does_not_fit_is_named(string suffix, long[]? shape, string expected)
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 4, noise: 0.3);
        Compressor.Compress(new() { Output = _folder["out"], RankU = 3, RankV = 3, Residual = 1 }, folders);
        string module = AdapterFolders.Modules[2].Path;
        Replace($"{Id}/{module}{suffix}", shape);
        using Bundle bundle = Bundle.Open(_folder["out"], verify: false);
        foreach (Action read in new Action[] { () => bundle.ReadCores(Id), () => bundle.ReadResiduals(Id), () => bundle.CoreBlob(Id) })
        {
            string message = Assert.Throws<BundleFormatException>(read).Message;
            Assert.Contains($"'{Id}/{module}", message, StringComparison.Ordinal);
            Assert.Contains(expected, message, StringComparison.Ordinal);
        }

        Assert.NotEmpty(bundle.ReadCores("adapter-000"));
    }

    [Fact]
    public void A_residual_that_is_not_finite_is_named()
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 4, noise: 0.3);
        Compressor.Compress(new() { Output = _folder["out"], Method = CompressionMethod.Svd, RankU = 1, RankV = 1 }, folders);
        Replace($"{Id}/{AdapterFolders.Modules[0].Path}.P", [24, 1], float.NaN);
        using Bundle bundle = Bundle.Open(_folder["out"], verify: false);
        Assert.Contains("NaN at 0", Assert.Throws<BundleFormatException>(() => bundle.ReadResiduals(Id)).Message, StringComparison.Ordinal);
        Assert.Contains("NaN at 0", Assert.Throws<BundleFormatException>(() => CoreBlob.Parse(bundle.CoreBlob(Id))).Message, StringComparison.Ordinal);
    }

    /// <summary>Another shape for one tensor, or none of it.</summary>
    private void Replace(string name, long[]? shape, float value = 0)
    {
        string path = _folder["out", "cores-00000.safetensors"];
        var writer = new SafetensorsWriter();
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            foreach (TensorEntry tensor in file.Tensors.Values.Where(t => t.Name != name))
                writer.AddRaw(tensor.Name, tensor.DType, tensor.Shape, file.Bytes(tensor).ToArray());
        }

        if (shape is not null)
            writer.Add(name, [.. Enumerable.Repeat(value, (int)shape.Aggregate(1L, (a, b) => a * b))], shape);
        writer.Save(path);
    }
}
