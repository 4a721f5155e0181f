namespace Eigengate.Inference.Sampling.Json;

/// <summary>The bytes still missing of one UTF-8 character (Unicode, table 3-7).</summary>
internal struct Utf8Tail
{
    private byte _missing;
    private byte _lowest;
    private byte _highest;

    public readonly bool IsDone => _missing == 0;

    /// <summary>Begins with a lead byte of two, three or four; false for any other byte.</summary>
    public static bool TryBegin(byte lead, out Utf8Tail tail)
    {
        tail = lead switch
        {
            >= 0xC2 and <= 0xDF => new Utf8Tail { _missing = 1, _lowest = 0x80, _highest = 0xBF },
            // The narrower ranges exclude overlong forms, surrogates and code points above U+10FFFF.
            0xE0 => new Utf8Tail { _missing = 2, _lowest = 0xA0, _highest = 0xBF },
            0xED => new Utf8Tail { _missing = 2, _lowest = 0x80, _highest = 0x9F },
            >= 0xE1 and <= 0xEF => new Utf8Tail { _missing = 2, _lowest = 0x80, _highest = 0xBF },
            0xF0 => new Utf8Tail { _missing = 3, _lowest = 0x90, _highest = 0xBF },
            >= 0xF1 and <= 0xF3 => new Utf8Tail { _missing = 3, _lowest = 0x80, _highest = 0xBF },
            0xF4 => new Utf8Tail { _missing = 3, _lowest = 0x80, _highest = 0x8F },
            _ => default,
        };
        return !tail.IsDone;
    }

    public bool Advance(byte value)
    {
        if (value < _lowest || value > _highest)
            return false;
        _missing--;
        (_lowest, _highest) = (0x80, 0xBF);
        return true;
    }
}
