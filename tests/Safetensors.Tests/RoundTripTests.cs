using CsCheck;

namespace Eigengate.Safetensors.Tests;

public sealed class RoundTripTests
{
    [Fact]
    public void Whatever_is_written_reads_back() =>
        Gen.Dictionary(
            Gen.String[Gen.Char['a', 'z'], 1, 8],
            Gen.Select(Gen.Int[0, 4], Gen.Int[0, 5], Gen.Float)).Sample(
                tensors =>
                {
                    var writer = new SafetensorsWriter().Metadata("format", "pt");
                    foreach (var (name, (rows, columns, value)) in tensors)
                        writer.Add(name, Values(rows * columns, value), [rows, columns]);
                    using SafetensorsFile file = SafetensorsFile.Parse(writer.ToArray(), "memory");
                    Assert.Equal("pt", file.Metadata["format"]);
                    Assert.Equal(tensors.Keys.Order(StringComparer.Ordinal), file.Tensors.Keys.Order(StringComparer.Ordinal));
                    foreach (var (name, (rows, columns, value)) in tensors)
                    {
                        Assert.Equal(new long[] { rows, columns }, file.Entry(name).Shape);
                        Assert.Equal(Values(rows * columns, value), file.ReadFloat32(name));
                    }
                },
                iter: 200,
                threads: 1);

    [Theory]
    [InlineData(DType.F64, 8)]
    [InlineData(DType.F32, 4)]
    [InlineData(DType.F16, 2)]
    [InlineData(DType.BF16, 2)]
    [InlineData(DType.I64, 8)]
    [InlineData(DType.I32, 4)]
    [InlineData(DType.I16, 2)]
    [InlineData(DType.I8, 1)]
    [InlineData(DType.U8, 1)]
    [InlineData(DType.Bool, 1)]
    public void Raw_bytes_of_every_dtype_read_back(DType dtype, int size)
    {
        byte[] bytes = [.. Enumerable.Range(1, 3 * size).Select(i => (byte)i)];
        using SafetensorsFile file = SafetensorsFile.Parse(new SafetensorsWriter().AddRaw("t", dtype, [3], bytes).ToArray(), "memory");
        Assert.Equal(size, dtype.Size());
        Assert.Equal(dtype, file.Entry("t").DType);
        Assert.Equal(3, file.Entry("t").Count);
        Assert.Equal(bytes, file.Bytes(file.Entry("t")).ToArray());
    }

    [Fact]
    public void The_bytes_do_not_depend_on_the_order_of_adding()
    {
        byte[] one = new SafetensorsWriter().Metadata("x", "1").Metadata("a", "2").Add("b", [1], [1]).Add("a", [2, 3], [2]).ToArray();
        byte[] other = new SafetensorsWriter().Add("a", [2, 3], [2]).Add("b", [1], [1]).Metadata("a", "2").Metadata("x", "1").ToArray();
        Assert.Equal(one, other);
    }

    [Fact]
    public void Data_starts_on_an_8_byte_boundary() =>
        Gen.String[Gen.Char['a', 'z'], 1, 20].Sample(
            name =>
            {
                using SafetensorsFile file = SafetensorsFile.Parse(new SafetensorsWriter().Add(name, [1], [1]).ToArray(), "memory");
                Assert.Equal(0, file.Entry(name).Offset % 8);
            },
            iter: 50,
            threads: 1);

    [Fact]
    public void A_saved_file_opens_and_leaves_no_temporary_behind()
    {
        string folder = Directory.CreateTempSubdirectory("eigengate-").FullName;
        try
        {
            string path = Path.Combine(folder, "x.safetensors");
            new SafetensorsWriter().Add("t", [1, 2, 3], [3]).Save(path);
            new SafetensorsWriter().Add("t", [4, 5], [2]).Save(path);
            using SafetensorsFile file = SafetensorsFile.Open(path);
            Assert.Equal([4f, 5f], file.ReadFloat32("t"));
            Assert.Equal([path], Directory.GetFiles(folder));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_scalar_and_an_empty_tensor_are_tensors()
    {
        byte[] bytes = new SafetensorsWriter().Add("scalar", [7], []).Add("empty", [], [0, 3]).ToArray();
        using SafetensorsFile file = SafetensorsFile.Parse(bytes, "memory");
        Assert.Equal([7f], file.ReadFloat32("scalar"));
        Assert.Empty(file.ReadFloat32("empty"));
    }

    [Fact]
    public void Values_that_do_not_fill_the_shape_are_a_caller_error()
    {
        Assert.Throws<ArgumentException>(() => new SafetensorsWriter().Add("t", [1, 2, 3], [2, 2]));
        Assert.Throws<ArgumentException>(() => new SafetensorsWriter().Add("t", [1], [1]).Add("t", [1], [1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => new SafetensorsWriter().Add("t", [1], [1], DType.I32));
    }

    [Fact]
    public void A_disposed_file_is_not_read()
    {
        SafetensorsFile file = SafetensorsFile.Parse(new SafetensorsWriter().Add("t", [1], [1]).ToArray(), "memory");
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.ReadFloat32("t"));
    }

    private static float[] Values(int count, float value) => [.. Enumerable.Range(0, count).Select(i => value + i)];
}
