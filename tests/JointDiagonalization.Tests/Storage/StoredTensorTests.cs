using CsCheck;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Storage;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Storage;

public sealed class StoredTensorTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Integers_are_within_half_a_step_of_their_row() =>
        (from rows in Gen.Int[1, 6]
         from columns in Gen.Int[1, 9]
         from values in Gen.Double[-1e6, 1e6].Array[rows * columns]
         select (rows, columns, values))
        .Sample(
            c =>
            {
                float[] values = [.. c.values.Select(v => (float)v)];
                StoredTensor stored = StoredTensor.Of(values, DType.I8, c.rows, c.columns);
                float[] served = stored.Widen();
                for (int i = 0; i < values.Length; i++)
                {
                    float[] row = values[(i / c.columns * c.columns)..((i / c.columns * c.columns) + c.columns)];
                    double step = row.Max(Math.Abs) / 127.0;
                    Assert.InRange(Math.Abs(served[i] - (double)values[i]), 0, (0.5 * step * 1.0001) + 1e-30);
                }
            },
            threads: 1);

    [Fact]
    public void A_row_of_zeros_and_a_diagonal_have_one_scale_each()
    {
        StoredTensor matrix = StoredTensor.Of([0, 0, 1, -2], DType.I8, 2, 2);
        Assert.Equal([0, 2f / 127], matrix.RowScales!);
        Assert.Equal([0f, 0, 64 * (2f / 127), -2], matrix.Widen(), (a, b) => Math.Abs(a - b) < 1e-6);
        Assert.Single(StoredTensor.Of([1, 2, 3], DType.I8, 3).RowScales!);
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    [InlineData(DType.I8)]
    public void A_file_gives_back_what_was_widened(DType dtype)
    {
        StoredTensor stored = StoredTensor.Of(Synthetic.Gaussian(new Random(1), 12), dtype, 3, 4);
        var writer = new SafetensorsWriter();
        stored.AddTo(writer, "m");
        using SafetensorsFile file = SafetensorsFile.Parse(writer.ToArray(), "test");
        Assert.Equal(stored.Widen(), StoredTensor.Read(file, file.Entry("m")));
    }

    [Fact]
    public void Values_beyond_half_precision_are_kept_in_single()
    {
        Assert.Equal((DType.F16, DType.F32), (StoredTensor.Of([65504, 1], DType.F16, 2).DType, StoredTensor.Of([-65536, 1], DType.F16, 2).DType));
        Assert.Equal([-65536, 1], StoredTensor.Of([-65536, 1], DType.F16, 2).Widen());
    }

    [Fact]
    public void Integers_without_fitting_scales_are_refused_by_name()
    {
        byte[] Bytes(SafetensorsWriter writer) => writer.AddRaw("m", DType.I8, [2, 2], [1, 2, 3, 4]).ToArray();
        using SafetensorsFile none = SafetensorsFile.Parse(Bytes(new SafetensorsWriter()), "test");
        Assert.Contains("'m.scale' is missing", Assert.Throws<SafetensorsException>(() => StoredTensor.Read(none, none.Entry("m"))).Message, StringComparison.Ordinal);
        using SafetensorsFile three = SafetensorsFile.Parse(Bytes(new SafetensorsWriter().Add("m.scale", [1, 2, 3], [3])), "test");
        Assert.Contains("'m' has 2 rows", Assert.Throws<SafetensorsException>(() => StoredTensor.Read(three, three.Entry("m"))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(CompressionMethod.Full, DType.I8, 1e-4)]
    [InlineData(CompressionMethod.Full, DType.BF16, 1e-5)]
    [InlineData(CompressionMethod.Diagonal, DType.I8, 1e-4)]
    public void Rounded_cores_cost_little_and_the_report_states_what_they_serve(CompressionMethod method, DType coreDType, double most)
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 8, noise: 0.2);
        CompressorOptions options = new() { Output = _folder["exact"], Method = method, RankU = 6, RankV = 6, Clusters = 2 };
        CompressionReport exact = Compressor.Compress(options, folders).Report;
        CompressionReport rounded = Compressor.Compress(options with { Output = _folder["rounded"], CoreDType = coreDType }, folders).Report;
        Assert.InRange(rounded.MeanRelSqError - exact.MeanRelSqError, 0, most);
        Assert.True(CoreBytes("rounded") < CoreBytes("exact"));
        Assert.Equal(exact.ParametersSaved, rounded.ParametersSaved);
        using Bundle bundle = Bundle.Open(_folder["rounded"]);
        foreach (ReportAdapter adapter in rounded.Adapters)
        {
            PeftAdapter source = PeftAdapter.Open(folders.Single(f => Path.GetFileName(f) == adapter.Id));
            Assert.All(adapter.Modules, m => Assert.Equal(ServedError.Of(bundle, source, m.Key), m.Value, 1e-6));
        }
    }

    private long CoreBytes(string bundle)
    {
        using SafetensorsFile cores = SafetensorsFile.Open(_folder[bundle, "cores-00000.safetensors"]);
        return cores.Tensors.Values.Sum(t => t.ByteLength);
    }
}
