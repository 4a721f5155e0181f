namespace Eigengate.Safetensors;

/// <summary>Where one tensor lies in a safetensors container.</summary>
/// <param name="Name">Tensor name as written in the header.</param>
/// <param name="DType">Element type.</param>
/// <param name="Shape">Row-major shape; empty for a scalar.</param>
/// <param name="Offset">First byte, counted from the start of the container.</param>
/// <param name="ByteLength">Number of bytes.</param>
public sealed record TensorEntry(string Name, DType DType, long[] Shape, long Offset, long ByteLength)
{
    /// <summary>Number of elements.</summary>
    public long Count => ByteLength / DType.Size();
}
