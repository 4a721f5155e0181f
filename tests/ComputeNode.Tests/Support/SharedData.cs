namespace Eigengate.ComputeNode.Tests.Support;

/// <summary>Real models in <c>shared/data</c> of a folder at or above the repository; tests that need one are skipped without it.</summary>
internal static class SharedData
{
    public static string Model(string name)
    {
        string relative = Path.Combine("shared", "data", "models", name);
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (Directory.Exists(Path.Combine(at.FullName, relative)))
                return Path.Combine(at.FullName, relative);
        }

        Assert.Skip($"shared data not present: {relative}");
        return "";
    }
}
