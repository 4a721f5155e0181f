using System.Globalization;
using System.Text.Json;
using Eigengate.JointDiagonalization.Storage;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Runs;

/// <summary>
/// The working folder of a run, beside the output: the assignment and every fitted module as soon as it is done, then the
/// bundle's files, which become the output in one rename. A run that ends in any way of its own removes the folder. One that
/// was killed leaves it, and a run of the same inputs and settings continues there.
/// </summary>
internal sealed class RunFolder : IDisposable
{
    internal const string Suffix = ".unfinished";
    private const string IdentityFile = "run.json";
    private const string AssignmentFile = "clusters.json";
    private const string LockFile = "lock";
    private const string BundleFolder = "bundle";

    private readonly string _output;
    private readonly string _folder;
    private FileStream? _lock;

    /// <param name="output">Folder of the bundle to come.</param>
    /// <param name="identity">Digest of everything that the bundle's bytes depend on, see <see cref="RunIdentity"/>.</param>
    /// <exception cref="IOException">Another run writes the same output, or the folder cannot be written.</exception>
    internal RunFolder(string output, string identity)
    {
        _output = Path.TrimEndingDirectorySeparator(Path.GetFullPath(output));
        _folder = _output + Suffix;
        Directory.CreateDirectory(_folder);
        _lock = Lock();
        try
        {
            bool other = File.Exists(At(IdentityFile)) ? File.ReadAllText(At(IdentityFile)) != identity : HoldsFiles();
            if (other)
                Clear();
            Discarded = other;
            if (!File.Exists(At(IdentityFile)))
                DiskWriter.Save(System.Text.Encoding.UTF8.GetBytes(identity), At(IdentityFile));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Whether an unfinished run of other inputs or settings was found and removed.</summary>
    internal bool Discarded { get; }

    /// <summary>How many modules a run before this one has fitted.</summary>
    internal int FinishedModules => Directory.EnumerateFiles(_folder, "module-*.safetensors").Count();

    /// <summary>Cluster of each adapter, when a run before this one got that far.</summary>
    internal int[]? ReadAssignment()
    {
        if (!File.Exists(At(AssignmentFile)))
            return null;
        try
        {
            return JsonSerializer.Deserialize<int[]>(File.ReadAllBytes(At(AssignmentFile)));
        }
        catch (JsonException)
        {
            return null;
        }
    }

    internal void SaveAssignment(IReadOnlyList<int> clusterOf) => DiskWriter.Save(JsonSerializer.SerializeToUtf8Bytes(clusterOf), At(AssignmentFile));

    /// <summary>A module that is already there; null when it has yet to be fitted.</summary>
    internal FinishedModule? TryOpen(int module)
    {
        try
        {
            return File.Exists(ModulePath(module)) ? FinishedModule.Open(ModulePath(module)) : null;
        }
        catch (SafetensorsException)
        {
            return null;
        }
    }

    internal FinishedModule Save(int module, FittedModule fitted)
    {
        FinishedModule.Save(fitted, ModulePath(module));
        return FinishedModule.Open(ModulePath(module));
    }

    /// <summary>An empty folder for the bundle's files.</summary>
    internal string StartBundle()
    {
        if (Directory.Exists(At(BundleFolder)))
            Directory.Delete(At(BundleFolder), recursive: true);
        return Directory.CreateDirectory(At(BundleFolder)).FullName;
    }

    /// <summary>Moves the bundle to its place; what was there is removed.</summary>
    internal void Complete()
    {
        string retired = $"{_output}.{Guid.NewGuid():N}.old";
        bool replaces = Directory.Exists(_output);
        if (replaces)
            Directory.Move(_output, retired);
        Directory.Move(At(BundleFolder), _output);
        if (replaces)
            Directory.Delete(retired, recursive: true);
    }

    public void Dispose()
    {
        if (_lock is null)
            return;
        Directory.Delete(_folder, recursive: true);
        _lock.Dispose();
        _lock = null;
    }

    private FileStream Lock()
    {
        try
        {
            return new FileStream(At(LockFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new IOException($"'{_folder}' is in use: another run is writing '{_output}'", e);
        }
    }

    private bool HoldsFiles() => Directory.EnumerateFileSystemEntries(_folder).Any(entry => Path.GetFileName(entry) != LockFile);

    private void Clear()
    {
        foreach (string entry in Directory.EnumerateFileSystemEntries(_folder).Where(entry => Path.GetFileName(entry) != LockFile).ToArray())
        {
            if (Directory.Exists(entry))
                Directory.Delete(entry, recursive: true);
            else
                File.Delete(entry);
        }
    }

    private string ModulePath(int module) => At(string.Create(CultureInfo.InvariantCulture, $"module-{module:D5}.safetensors"));

    private string At(string name) => Path.Combine(_folder, name);
}
