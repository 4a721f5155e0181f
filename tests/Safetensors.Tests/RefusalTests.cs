using System.Buffers.Binary;
using System.Text;

namespace Eigengate.Safetensors.Tests;

/// <summary>Malformed containers are refused with the source, the tensor and what was expected (spec/adapters.md §1.1).</summary>
public sealed class RefusalTests
{
    [Fact]
    public void A_container_cut_at_any_length_is_refused()
    {
        byte[] whole = new SafetensorsWriter().Metadata("a", "b").Add("one", [1, 2], [2]).Add("two", [3], [1]).ToArray();
        for (int length = 0; length < whole.Length; length++)
        {
            var error = Assert.Throws<SafetensorsException>(() => SafetensorsFile.Parse(whole.AsMemory(0, length), "cut.safetensors"));
            Assert.StartsWith("cut.safetensors: ", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_file_cut_at_any_length_is_refused()
    {
        string path = Path.Combine(Path.GetTempPath(), $"eigengate-{Guid.NewGuid():N}.safetensors");
        byte[] whole = new SafetensorsWriter().Add("one", [1, 2], [2]).ToArray();
        try
        {
            for (int length = 0; length < whole.Length; length += 3)
            {
                File.WriteAllBytes(path, whole[..length]);
                Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(path));
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("""{"t": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}""", "needs 8 bytes but has 4")]
    [InlineData("""{"t": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}""", "'t' lies at bytes [4, 0)")]
    [InlineData("""{"t": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}""", "'t' lies at bytes [-4, 0)")]
    [InlineData("""{"t": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}""", "holds 8 bytes of data")]
    [InlineData("""{"t": {"dtype": "F32", "shape": [9223372036854775807, 9], "data_offsets": [0, 8]}}""", "impossible shape")]
    [InlineData("""{"t": {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]}}""", "negative dimension")]
    [InlineData("""{"t": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}""", "F8_E4M3")]
    [InlineData("""{"t": {"dtype": "f32", "shape": [2], "data_offsets": [0, 8]}}""", "f32")]
    [InlineData("""{"t": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "u": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}}""", "'t' and 'u' overlap")]
    [InlineData("""{"t": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "t": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}""", "'t' appears twice")]
    [InlineData("""{"t": {"dtype": "F32", "shape": [2]}}""", "not valid safetensors JSON")]
    [InlineData("""{"t": {"dtype": "F32", "shape": [2], "data_offsets": []}}""", "data_offsets")]
    [InlineData("""{"t": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8, 8]}}""", "data_offsets")]
    [InlineData("""{"t": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 8]}}""", "not valid safetensors JSON")]
    [InlineData("""{"t": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}}""", "not valid safetensors JSON")]
    [InlineData("""{"t": {"dtype": 5, "shape": [2], "data_offsets": [0, 8]}}""", "not valid safetensors JSON")]
    [InlineData("""{"t": 5}""", "not valid safetensors JSON")]
    [InlineData("""{"__metadata__": {"a": 1}}""", "not valid safetensors JSON")]
    [InlineData("""[1]""", "not valid safetensors JSON")]
    [InlineData("""{"t": """, "not valid safetensors JSON")]
    public void A_malformed_header_is_refused_with_its_reason(string json, string expected)
    {
        var error = Assert.Throws<SafetensorsException>(() => SafetensorsFile.Parse(Container(json, 8), "bad.safetensors"));
        Assert.StartsWith("bad.safetensors: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(1UL << 63)]
    [InlineData(100_000_001UL)]
    [InlineData(3UL)]
    public void A_header_length_that_cannot_be_is_refused(ulong length)
    {
        byte[] bytes = Container("{}", 0);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
        Assert.Contains(
            "header length", Assert.Throws<SafetensorsException>(() => SafetensorsFile.Parse(bytes, "bad")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Gaps_between_tensors_are_allowed()
    {
        byte[] bytes = Container("""{"t": {"dtype": "U8", "shape": [1], "data_offsets": [6, 7]}}""", 8);
        bytes[^2] = 42;
        using SafetensorsFile file = SafetensorsFile.Parse(bytes, "gaps");
        Assert.Equal([42], file.Bytes(file.Entry("t")).ToArray());
    }

    [Fact]
    public void A_missing_tensor_and_a_tensor_that_is_no_float_are_named()
    {
        using SafetensorsFile file = SafetensorsFile.Parse(new SafetensorsWriter().AddRaw("ints", DType.I32, [1], new byte[4]).ToArray(), "memory");
        Assert.Contains("'none' is missing", Assert.Throws<SafetensorsException>(() => file.Entry("none")).Message, StringComparison.Ordinal);
        Assert.Contains("'ints' has dtype I32", Assert.Throws<SafetensorsException>(() => file.ReadFloat32("ints")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_is_an_ordinary_io_error() =>
        Assert.Throws<FileNotFoundException>(() => SafetensorsFile.Open(Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.safetensors")));

    private static byte[] Container(string json, int dataBytes)
    {
        byte[] header = Encoding.UTF8.GetBytes(json);
        byte[] bytes = new byte[8 + header.Length + dataBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)header.Length);
        header.CopyTo(bytes, 8);
        return bytes;
    }
}
