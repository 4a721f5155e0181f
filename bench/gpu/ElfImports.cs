using System.Buffers.Binary;
using System.Text;

namespace Eigengate.Gpu;

/// <summary>Names that a 64-bit ELF library expects others to define.</summary>
internal static class ElfImports
{
    private const int DynamicSymbols = 11, SymbolBytes = 24;

    public static IEnumerable<string> Read(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        int sections = (int)Long(file, 0x28), size = Short(file, 0x3A), count = Short(file, 0x3C);
        for (int i = 0; i < count; i++)
        {
            int section = sections + (i * size);
            if (Int(file, section + 4) != DynamicSymbols)
                continue;
            int first = (int)Long(file, section + 24), length = (int)Long(file, section + 32);
            int names = (int)Long(file, sections + (Int(file, section + 40) * size) + 24);
            for (int symbol = first + SymbolBytes; symbol < first + length; symbol += SymbolBytes)
            {
                if (Short(file, symbol + 6) == 0)
                    yield return Text(file, names + Int(file, symbol));
            }
        }
    }

    private static string Text(byte[] file, int start) => Encoding.ASCII.GetString(file, start, Array.IndexOf(file, (byte)0, start) - start);

    private static long Long(byte[] file, int at) => BinaryPrimitives.ReadInt64LittleEndian(file.AsSpan(at));

    private static int Int(byte[] file, int at) => BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(at));

    private static int Short(byte[] file, int at) => BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(at));
}
