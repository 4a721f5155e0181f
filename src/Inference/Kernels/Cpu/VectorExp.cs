using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// exp of 16 floats within 2 units in the last place: 2ⁿ · P(r) with r in [−ln 2 / 2, ln 2 / 2] and the Cephes
/// polynomial of degree 6. Below −87.3 it gives 2⁻¹²⁶, above 88 infinity is not reached: callers pass values that are not.
/// </summary>
internal static class VectorExp
{
    private const float Lowest = -87.33654f;
    private const float Highest = 88.02969f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(Vector512<float> x)
    {
        x = Vector512.Min(Vector512.Max(x, Vector512.Create(Lowest)), Vector512.Create(Highest));
        Vector512<float> n = Vector512.Round(x * Vector512.Create(1.44269504088896341f));
        // ln 2 in two parts, so that n · ln 2 loses nothing.
        Vector512<float> r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-0.693359375f), x);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(2.12194440e-4f), r);
        Vector512<float> p = Vector512.FusedMultiplyAdd(Vector512.Create(1.9875691500e-4f), r, Vector512.Create(1.3981999507e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(8.3334519073e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(4.1665795894e-2f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1.6666665459e-1f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(5.0000001201e-1f));
        p = Vector512.FusedMultiplyAdd(p, r * r, r + Vector512<float>.One);
        Vector512<int> exponent = Vector512.ShiftLeft(Vector512.ConvertToInt32Native(n) + Vector512.Create(127), 23);
        return p * exponent.AsSingle();
    }
}
