namespace Eigengate.Safetensors;

/// <summary>Element types of a safetensors file that this product reads. F8 types are refused by name.</summary>
public enum DType
{
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

public static class DTypeExtensions
{
    /// <summary>Bytes per element.</summary>
    public static int Size(this DType dtype) => dtype switch
    {
        DType.F64 or DType.I64 => 8,
        DType.F32 or DType.I32 => 4,
        DType.F16 or DType.BF16 or DType.I16 => 2,
        _ => 1,
    };

    public static bool IsFloatingPoint(this DType dtype) => dtype <= DType.BF16;

    internal static string ToFileName(this DType dtype) => dtype == DType.Bool ? "BOOL" : dtype.ToString();

    internal static bool TryParse(string name, out DType dtype)
    {
        foreach (DType candidate in Enum.GetValues<DType>())
        {
            if (candidate.ToFileName() == name)
            {
                dtype = candidate;
                return true;
            }
        }

        dtype = default;
        return false;
    }
}
