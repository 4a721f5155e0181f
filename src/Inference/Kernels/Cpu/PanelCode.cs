using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// Machine code around VDPBF16PS, the processor's product of bfloat16 pairs with float32 sums, which .NET 10 does not offer:
/// tile[r, o] = Σ_p x[r, 2p] · panel[p, o, 0] + x[r, 2p + 1] · panel[p, o, 1] for 1 to 6 rows and the 64 outputs of a panel.
/// Each sum is made in the same order for any number of rows. Generated once, at first use.
/// </summary>
internal static unsafe class PanelCode
{
    /// <summary>24 of the 32 vector registers hold sums, four vectors a row.</summary>
    public const int MaxRows = 6;
    private const int PageBytes = 4096;
    private const int Rdx = 2, Rsi = 6, Rdi = 7, R8 = 8, R9 = 9;
    private const int FirstWeight = 24, FirstInput = 28;
    /// <summary>The processor has AVX-512 BF16, and the calling convention is the one of Linux.</summary>
    public static bool IsSupported { get; } =
        OperatingSystem.IsLinux() && Environment.Is64BitProcess && Avx512F.IsSupported && X86Base.IsSupported
        && X86Base.CpuId(0, 0).Eax >= 7 && (X86Base.CpuId(7, 1).Eax & (1 << 5)) != 0;

    // After what says whether there is anything to generate.
    private static readonly nint[] Entries = IsSupported ? Generate() : [];

    /// <param name="x">Rows of bfloat16 numbers, <paramref name="strideBytes"/> apart.</param>
    /// <param name="strideBytes">From one row to the next.</param>
    /// <param name="panel">[pairs, 64, 2], bfloat16.</param>
    /// <param name="pairs">Half the inputs; at least 1.</param>
    /// <param name="tile">[rows, 64], float32.</param>
    /// <param name="rows">1 to <see cref="MaxRows"/>.</param>
    /// <param name="accumulate">Add to what the tile holds.</param>
    public static void Run(void* x, nint strideBytes, void* panel, nint pairs, float* tile, int rows, bool accumulate) =>
        ((delegate* unmanaged<void*, nint, void*, nint, float*, void>)Entries[(2 * (rows - 1)) + (accumulate ? 1 : 0)])(x, strideBytes, panel, pairs, tile);

    private static nint[] Generate()
    {
        var code = new List<byte>();
        int[] starts = [.. Enumerable.Range(0, 2 * MaxRows).Select(i =>
        {
            int start = code.Count;
            Write(new Assembler(code), (i / 2) + 1, accumulate: i % 2 == 1);
            return start;
        })];

        nuint bytes = (nuint)((code.Count + PageBytes - 1) / PageBytes * PageBytes);
        nint memory = MapMemory(0, bytes, protection: 3, flags: 0x22, -1, 0);
        if (memory == -1)
            throw new InvalidOperationException("no memory for generated code");
        Marshal.Copy([.. code], 0, memory, code.Count);
        if (ProtectMemory(memory, bytes, protection: 5) != 0)
            throw new InvalidOperationException("the system does not allow generated code");
        return [.. starts.Select(start => memory + start)];
    }

    /// <summary>Arguments come in rdi (x), rsi (stride), rdx (panel), rcx (pairs) and r8 (tile).</summary>
    private static void Write(Assembler code, int rows, bool accumulate)
    {
        code.Bytes(0x4C, 0x8D, 0x0C, 0x77);             // lea r9, [rdi + 2 rsi]
        code.Bytes(0x49, 0x01, 0xF1);                   // add r9, rsi: the fourth row
        for (int sum = 0; sum < 4 * rows; sum++)
        {
            if (accumulate)
                code.Load(sum, R8, sum);
            else
                code.Zero(sum);
        }

        int loop = code.Position;
        for (int i = 0; i < 4; i++)
            code.Load(FirstWeight + i, Rdx, i);
        for (int row = 0; row < rows; row++)
        {
            int input = FirstInput + (row % 4);
            code.BroadcastPair(input, row < 3 ? Rdi : R9, Rsi, row % 3);
            for (int i = 0; i < 4; i++)
                code.AddPairProducts((4 * row) + i, input, FirstWeight + i);
        }

        code.Bytes(0x48, 0x81, 0xC2, 0, 1, 0, 0);       // add rdx, 256
        code.Bytes(0x48, 0x83, 0xC7, 4);                // add rdi, 4
        code.Bytes(0x49, 0x83, 0xC1, 4);                // add r9, 4
        code.Bytes(0x48, 0xFF, 0xC9);                   // dec rcx
        code.JumpIfNotZero(loop);
        for (int sum = 0; sum < 4 * rows; sum++)
            code.Store(sum, R8, sum);
        code.Bytes(0xC5, 0xF8, 0x77);                   // vzeroupper
        code.Bytes(0xC3);                               // ret
    }

    [DllImport("libc", EntryPoint = "mmap")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint MapMemory(nint address, nuint length, int protection, int flags, int file, nint offset);

    [DllImport("libc", EntryPoint = "mprotect")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int ProtectMemory(nint address, nuint length, int protection);

    /// <summary>The few 512-bit instructions that are needed, in EVEX encoding.</summary>
    private readonly struct Assembler(List<byte> code)
    {
        private const int Map0F = 1, Map0F38 = 2;
        private const int NoPrefix = 0, Prefix66 = 1, PrefixF3 = 2;

        public int Position => code.Count;

        public void Bytes(params ReadOnlySpan<byte> bytes) => code.AddRange(bytes);

        /// <summary>vpxord target, target, target</summary>
        public void Zero(int target) => Registers(Map0F, Prefix66, 0xEF, target, target, target);

        /// <summary>vdpbf16ps sum, a, b</summary>
        public void AddPairProducts(int sum, int a, int b) => Registers(Map0F38, PrefixF3, 0x52, sum, a, b);

        /// <summary>vmovups target, [address + 64 · vector]</summary>
        public void Load(int target, int address, int vector) => Memory(NoPrefix, Map0F, 0x10, target, address, vector);

        /// <summary>vmovups [address + 64 · vector], source</summary>
        public void Store(int source, int address, int vector) => Memory(NoPrefix, Map0F, 0x11, source, address, vector);

        /// <summary>vpbroadcastd target, [address + rows · stride]</summary>
        /// <param name="rows">0, 1 or 2.</param>
        public void BroadcastPair(int target, int address, int stride, int rows)
        {
            if (rows == 0)
            {
                Memory(Prefix66, Map0F38, 0x58, target, address, 0);
                return;
            }

            Prefix(Map0F38, Prefix66, target, 0, extendX: stride >> 3, extendB: address >> 3);
            Bytes(0x58, (byte)(0x44 | ((target & 7) << 3)), (byte)(((rows - 1) << 6) | ((stride & 7) << 3) | (address & 7)), 0);
        }

        public void JumpIfNotZero(int position)
        {
            int distance = position - (code.Count + 6);
            Bytes(0x0F, 0x85, (byte)distance, (byte)(distance >> 8), (byte)(distance >> 16), (byte)(distance >> 24));
        }

        private void Registers(int map, int prefix, byte opcode, int target, int a, int b)
        {
            Prefix(map, prefix, target, a, extendX: b >> 4, extendB: b >> 3);
            Bytes(opcode, (byte)(0xC0 | ((target & 7) << 3) | (b & 7)));
        }

        /// <param name="scaled">Distance in units of the operand's size.</param>
        private void Memory(int prefix, int map, byte opcode, int register, int address, int scaled)
        {
            Prefix(map, prefix, register, 0, extendX: 0, extendB: address >> 3);
            Bytes(opcode, (byte)(0x40 | ((register & 7) << 3) | (address & 7)), (byte)scaled);
        }

        /// <summary>The four bytes before the opcode; register bits are stored inverted.</summary>
        private void Prefix(int map, int prefix, int target, int second, int extendX, int extendB)
        {
            int p0 = (~(target >> 3) & 1) << 7 | (~extendX & 1) << 6 | (~extendB & 1) << 5 | (~(target >> 4) & 1) << 4 | map;
            int p1 = (~second & 15) << 3 | 4 | prefix;
            int p2 = 0x40 | (~(second >> 4) & 1) << 3;
            Bytes(0x62, (byte)p0, (byte)p1, (byte)p2);
        }
    }
}
