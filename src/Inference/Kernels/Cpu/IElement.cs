using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Eigengate.Safetensors;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// How an activation or weight is stored; all arithmetic is float32. The vectors are 512 bits wide; on a processor
/// without AVX-512 the runtime lowers them to pairs of 256-bit operations.
/// </summary>
internal unsafe interface IElement<T>
    where T : unmanaged, IElement<T>
{
    static abstract float Read(T* source);

    static abstract void Write(T* target, float value);

    /// <summary>Reads 16 elements.</summary>
    static abstract Vector512<float> Load(T* source);

    /// <summary>Reads 8 elements.</summary>
    static abstract Vector256<float> LoadHalf(T* source);

    /// <summary>Writes 16 elements.</summary>
    static abstract void Store(T* target, Vector512<float> value);
}

[StructLayout(LayoutKind.Sequential, Size = sizeof(float))]
internal readonly struct F32 : IElement<F32>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe float Read(F32* source) => *(float*)source;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void Write(F32* target, float value) => *(float*)target = value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe Vector512<float> Load(F32* source) => Vector512.Load((float*)source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe Vector256<float> LoadHalf(F32* source) => Vector256.Load((float*)source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void Store(F32* target, Vector512<float> value) => value.Store((float*)target);
}

[StructLayout(LayoutKind.Sequential, Size = sizeof(ushort))]
internal readonly struct Bf16 : IElement<Bf16>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe float Read(Bf16* source) => BitConverter.UInt32BitsToSingle((uint)*(ushort*)source << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void Write(Bf16* target, float value) => *(ushort*)target = FloatConversion.ToBFloat16(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe Vector512<float> Load(Bf16* source)
    {
        Vector256<ushort> bits = Vector256.Load((ushort*)source);
        Vector512<uint> wide = Avx512F.IsSupported
            ? Avx512F.ConvertToVector512UInt32(bits)
            : Vector512.Create(Vector256.WidenLower(bits), Vector256.WidenUpper(bits));
        return Vector512.ShiftLeft(wide, 16).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe Vector256<float> LoadHalf(Bf16* source)
    {
        Vector128<ushort> bits = Vector128.Load((ushort*)source);
        Vector256<uint> wide = Vector256.Create(Vector128.WidenLower(bits), Vector128.WidenUpper(bits));
        return Vector256.ShiftLeft(wide, 16).AsSingle();
    }

    /// <summary>Rounds to nearest, ties to even. NaN may become infinite or another NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void Store(Bf16* target, Vector512<float> value)
    {
        Vector512<uint> bits = value.AsUInt32();
        Vector512<uint> odd = Vector512.ShiftRightLogical(bits, 16) & Vector512<uint>.One;
        Vector512<uint> rounded = Vector512.ShiftRightLogical(bits + Vector512.Create(0x7FFFu) + odd, 16);
        Vector256<ushort> narrow = Avx512F.IsSupported
            ? Avx512F.ConvertToVector256UInt16(rounded)
            : Vector256.Narrow(rounded.GetLower(), rounded.GetUpper());
        narrow.Store((ushort*)target);
    }
}
