namespace Eigengate.ComputeNode.Tests.Support;

/// <summary>Real models in a folder <c>shared/data</c> at or above the repository; tests that need one are skipped without it.</summary>
internal static class SharedData
{
    public static string Model(string name) => Find(Path.Combine("data", "models", name));

    private static string Find(string path)
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            string candidate = Path.Combine(at.FullName, "shared", path);
            if (Directory.Exists(candidate))
                return candidate;
        }

        // The folder may lie beside the main checkout when this is a linked one.
        if (Environment.GetEnvironmentVariable("EIGENGATE_SHARED") is { } root && Directory.Exists(Path.Combine(root, path)))
            return Path.Combine(root, path);
        Assert.Skip($"shared/{path} is not there; set EIGENGATE_SHARED to the folder that holds {path}");
        return "";
    }
}
