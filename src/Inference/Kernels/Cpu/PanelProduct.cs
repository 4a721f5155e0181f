using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>y = x Wᵀ for bfloat16 weights in <see cref="Panels"/>; a row's result does not depend on the other rows.</summary>
internal sealed unsafe class PanelProduct : IDisposable
{
    private const int Lanes = 16;
    private const int TileFloats = PanelCode.MaxRows * Panels.Width;

    /// <summary>Pieces of work for each thread, so that one that is held up does not hold up the others.</summary>
    private const int PiecesPerThread = 8;
    private readonly ComputePool _pool;
    private readonly bool _portable;
    private readonly float* _tiles;

    /// <param name="pool">Shares the panels; stays the caller's.</param>
    /// <param name="portable">Use vector instructions that every processor has, for comparison.</param>
    public PanelProduct(ComputePool pool, bool portable = false)
    {
        _pool = pool;
        _portable = portable || !PanelCode.IsSupported;
        _tiles = (float*)NativeMemory.AlignedAlloc((nuint)(pool.Threads * TileFloats * sizeof(float)), 64);
    }

    /// <summary>y[r, o] = Σ_i x[r, i] · w[o, i], or added to y.</summary>
    /// <param name="x">Rows of bfloat16 numbers, <paramref name="strideX"/> apart.</param>
    /// <param name="strideX">In elements, like the others.</param>
    /// <param name="panels">Weights of <paramref name="outputs"/> outputs.</param>
    /// <param name="inputs">Even.</param>
    public void Multiply<T>(ushort* x, nint strideX, ushort* panels, int inputs, int outputs, T* y, nint strideY, int rows, bool accumulate)
        where T : unmanaged, IElement<T>
    {
        int count = Panels.Count(outputs), blocks = (rows + PanelCode.MaxRows - 1) / PanelCode.MaxRows, pieces = PiecesPerThread * _pool.Threads;
        int rowParts = _pool.Threads == 1 ? 1 : Math.Clamp((pieces + count - 1) / count, 1, blocks);
        int grain = Math.Max(1, count / pieces);
        int panelParts = (count + grain - 1) / grain;
        _pool.For(panelParts * rowParts, (piece, thread) =>
        {
            int part = piece / panelParts, firstPanel = piece % panelParts * grain;
            int firstRow = (int)((long)rows * part / rowParts), endRow = (int)((long)rows * (part + 1) / rowParts);
            for (int panel = firstPanel; panel < Math.Min(count, firstPanel + grain); panel++)
            {
                int column = panel * Panels.Width;
                MultiplyPanel(
                    x + (firstRow * strideX), strideX, panels + ((nint)column * inputs), inputs / 2, y + (firstRow * strideY) + column, strideY,
                    endRow - firstRow, Math.Min(Panels.Width, outputs - column), accumulate, _tiles + (thread * TileFloats));
            }
        });
    }

    /// <summary><see cref="Multiply"/> on the calling thread, inside of a loop that the pool shares.</summary>
    /// <param name="thread">Its index.</param>
    public void MultiplyAlone<T>(
        ushort* x, nint strideX, ushort* panels, int inputs, int outputs, T* y, nint strideY, int rows, bool accumulate, int thread)
        where T : unmanaged, IElement<T>
    {
        float* tile = _tiles + (thread * TileFloats);
        for (int column = 0; column < outputs; column += Panels.Width)
        {
            MultiplyPanel(
                x, strideX, panels + ((nint)column * inputs), inputs / 2, y + column, strideY, rows, Math.Min(Panels.Width, outputs - column), accumulate, tile);
        }
    }

    public void Dispose() => NativeMemory.AlignedFree(_tiles);

    private void MultiplyPanel<T>(
        ushort* x, nint strideX, ushort* panel, int pairs, T* y, nint strideY, int rows, int columns, bool accumulate, float* tile)
        where T : unmanaged, IElement<T>
    {
        // Blocks of nearly equal height: a last block of one row would waste most of the multipliers.
        for (int blocks = (rows + PanelCode.MaxRows - 1) / PanelCode.MaxRows, row = 0; blocks > 0; blocks--)
        {
            int height = (rows - row) / blocks;
            if (_portable)
                Portable(x + (row * strideX), strideX, panel, pairs, tile, height);
            else
                PanelCode.Run(x + (row * strideX), strideX * sizeof(ushort), panel, pairs, tile, height, accumulate: false);
            for (int r = 0; r < height; r++)
                Put(tile + (r * Panels.Width), y + ((row + r) * strideY), columns, accumulate);
            row += height;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Put<T>(float* tile, T* y, int columns, bool accumulate)
        where T : unmanaged, IElement<T>
    {
        int i = 0;
        for (; i + Lanes <= columns; i += Lanes)
        {
            Vector512<float> value = Vector512.Load(tile + i);
            T.Store(y + i, accumulate ? value + T.Load(y + i) : value);
        }

        for (; i < columns; i++)
            T.Write(y + i, accumulate ? tile[i] + T.Read(y + i) : tile[i]);
    }

    /// <summary>The tile of <see cref="PanelCode.Run"/>, not accumulated.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Portable(ushort* x, nint strideX, ushort* panel, int pairs, float* tile, int rows)
    {
        Vector512<uint> high = Vector512.Create(0xFFFF0000u);
        for (int row = 0; row < rows; row++)
        {
            Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
            uint* inputs = (uint*)(x + (row * strideX)), weights = (uint*)panel;
            for (int pair = 0; pair < pairs; pair++, weights += Panels.Width)
            {
                Vector512<float> even = Vector512.Create(BitConverter.UInt32BitsToSingle(inputs[pair] << 16));
                Vector512<float> odd = Vector512.Create(BitConverter.UInt32BitsToSingle(inputs[pair] & 0xFFFF0000u));
                Vector512<uint> w0 = Vector512.Load(weights), w1 = Vector512.Load(weights + Lanes);
                Vector512<uint> w2 = Vector512.Load(weights + (2 * Lanes)), w3 = Vector512.Load(weights + (3 * Lanes));
                s0 = Vector512.FusedMultiplyAdd(odd, (w0 & high).AsSingle(), Vector512.FusedMultiplyAdd(even, (w0 << 16).AsSingle(), s0));
                s1 = Vector512.FusedMultiplyAdd(odd, (w1 & high).AsSingle(), Vector512.FusedMultiplyAdd(even, (w1 << 16).AsSingle(), s1));
                s2 = Vector512.FusedMultiplyAdd(odd, (w2 & high).AsSingle(), Vector512.FusedMultiplyAdd(even, (w2 << 16).AsSingle(), s2));
                s3 = Vector512.FusedMultiplyAdd(odd, (w3 & high).AsSingle(), Vector512.FusedMultiplyAdd(even, (w3 << 16).AsSingle(), s3));
            }

            float* target = tile + (row * Panels.Width);
            s0.Store(target);
            s1.Store(target + Lanes);
            s2.Store(target + (2 * Lanes));
            s3.Store(target + (3 * Lanes));
        }
    }
}
