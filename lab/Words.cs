namespace Eigengate.Lab;

/// <summary>Seeded lowercase words of 4 to 8 letters, and the rule that keeps some of them out of all training.</summary>
public static class Words
{
    public const int MinLength = 4;
    public const int MaxLength = 8;
    public const string Vowels = "aeiou";
    private const string Consonants = "bcdfghjklmnpqrstvwxyz";

    /// <summary>One word in ten is held out. The choice depends on the letters alone (FNV-1a), never on a seed.</summary>
    public static bool IsHeldOut(string word)
    {
        uint hash = 2166136261;
        foreach (char letter in word)
            hash = (hash ^ letter) * 16777619;
        return hash % 10 == 0;
    }

    /// <summary>A word from the training or the held-out part, with at least one vowel and one consonant.</summary>
    public static string Next(Random random, bool heldOut)
    {
        while (true)
        {
            int length = random.Next(MinLength, MaxLength + 1);
            string word = random.Next(3) == 0 ? Letters(random, length) : Syllables(random, length);
            int vowels = word.Count(Vowels.Contains);
            if (vowels > 0 && vowels < length && IsHeldOut(word) == heldOut)
                return word;
        }
    }

    private static string Letters(Random random, int length) =>
        string.Create(length, random, static (span, random) =>
        {
            for (int i = 0; i < span.Length; i++)
                span[i] = (char)('a' + random.Next(26));
        });

    private static string Syllables(Random random, int length)
    {
        string word = "";
        while (word.Length < length)
        {
            if (random.Next(5) > 0)
                word += Consonants[random.Next(Consonants.Length)];
            word += Vowels[random.Next(Vowels.Length)];
            if (random.Next(3) == 0)
                word += Consonants[random.Next(Consonants.Length)];
        }

        return word[..length];
    }
}
